"""The plot of the convergence: candidates and the best so far over evaluations and seconds, and baselines as lines."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.report.drawing import Plot
from lcsc.report.figures.labels import spread_apart
from lcsc.report.figures.panels import Panel, shown_range
from lcsc.report.figures.scales import is_wide
from lcsc.report.figures.traces import Trace
from lcsc.report.plots import brief_number
from lcsc.report.records import Selection
from lcsc.report.style import Look

MOST_POINTS = 2000  # of a search: more would only cover each other, and make the page large
LABEL_GAP = 0.06  # between labels of lines, of the plot's height
Seconds = Mapping[str, Sequence[float]]


def plot(
    panels: Sequence[Panel],
    selections: Sequence[Selection],
    counts: Mapping[str, int],
    labels: Mapping[str, str],
    looks: Mapping[str, Look],
    seconds: Seconds,
) -> Plot:
    """The panels of the figure; ``counts`` are the evaluations of each search, ``seconds`` those up to each of them.

    Against seconds only where all searches have them.
    """
    timed = bool(seconds) and not untimed([one for panel in panels for one in panel.traces], seconds)
    known = seconds if timed else {}
    return Plot(
        "courses",
        {
            "unit": "Distance on search noise",
            "seconds": timed,
            "panels": [_panel(panel, selections, counts, labels, looks, known, len(panels) > 1) for panel in panels],
        },
    )


def untimed(traces: Sequence[Trace], seconds: Seconds) -> list[str]:
    """The searches whose evaluations' seconds are not all known."""
    return [one.search for one in traces if len(seconds.get(one.search, ())) != len(one.scores)]


def _panel(
    panel: Panel,
    selections: Sequence[Selection],
    counts: Mapping[str, int],
    labels: Mapping[str, str],
    looks: Mapping[str, Look],
    seconds: Seconds,
    titled: bool,
) -> dict[str, Any]:
    low, high = shown_range(panel, selections)
    choices = [s for s in selections if s.selection_score is not None] if panel.chose else []
    names = {**labels, **panel.labels}
    return {
        "title": panel.distance if titled else "",
        "note": ("chose among finalists" if panel.chose else "searched by some") if titled else "",
        "low": low,
        "high": high,
        "log": is_wide([low, high]),
        "series": [
            _series(one, labels[one.search], looks[one.search], seconds.get(one.search)) for one in panel.traces
        ],
        "lines": [
            {"label": names.get(name, name), "value": brief_number(value), "place": place, "colour": looks[name].colour}
            for (name, value), place in zip(panel.lines.items(), _places(panel, low, high), strict=True)
        ],
        "choices": [
            {
                "label": labels[choice.search],
                "evaluations": counts[choice.search],
                "seconds": _last(seconds.get(choice.search)),
                "value": brief_number(choice.selection_score),
                "colour": looks[choice.search].colour,
            }
            for choice in choices
        ],
    }


def _series(one: Trace, label: str, look: Look, seconds: Sequence[float] | None) -> dict[str, Any]:
    every = max(1, math.ceil(len(one.scores) / MOST_POINTS))
    times = [None] * len(one.scores) if seconds is None else [brief_number(value) for value in seconds]
    points = [
        [place + 1, bisect_right(one.ends, place), brief_number(score), times[place]]
        for place, score in enumerate(one.scores)
        if score is not None and place % every == 0
    ]
    return {
        "label": label,
        "colour": look.colour,
        "fresh": one.is_fresh,
        "points": points,
        "course": [[place + 1, brief_number(value), times[place]] for place, value in _changes(one.course())],
        "end": [max(1, len(one.scores)), _last(seconds)],
    }


def _changes(course: Sequence[float | None]) -> list[tuple[int, float]]:
    """Where the course takes a new value, and its end."""
    last = len(course) - 1
    return [
        (place, value)
        for place, value in enumerate(course)
        if value is not None and (place in (0, last) or value != course[place - 1])
    ]


def _last(seconds: Sequence[float] | None) -> float | None:
    return brief_number(seconds[-1]) if seconds else None


def _places(panel: Panel, low: float, high: float) -> list[float]:
    """Where the lines' labels stand, in distances: as near to their lines as they go without covering each other."""
    log = is_wide([low, high])
    first, span = (math.log(low), math.log(high / low)) if log else (low, high - low)
    shares = [((math.log(value) if log else value) - first) / span for value in panel.lines.values()]
    moved = [first + span * share for share in spread_apart(shares, LABEL_GAP)]
    return [math.exp(value) if log else value for value in moved]
