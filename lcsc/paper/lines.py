"""What a page's script draws a figure over several runs from: medians with their ranges, a panel for each extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.paper.points import ROLES, Point, Role, Series, column_of
from lcsc.report.drawing import Plot
from lcsc.report.style import Look

NOTES: Mapping[Role, str] = {"unseen": "seen by no search", "searched": "searched"}


def lines_plot(
    x: Mapping[str, Any],
    points: Sequence[Point],
    series: Mapping[tuple[str, Role], Series],
    look: Mapping[str, Look],
) -> Plot:
    """The plot ``lines``; ``x`` is the axis of the configuration, and colours are those of the picture."""
    panels = [
        {
            "title": column_of(points[0].evaluations[0], role).distance,
            "note": NOTES[role],
            "series": [_line(one, look[method].colour) for (method, r), one in series.items() if r == role],
        }
        for role in ROLES[::-1]
    ]
    return Plot("lines", {"x": dict(x), "unit": "Distance to held-out images", "panels": panels})


def _line(series: Series, colour: str) -> dict[str, Any]:
    rows = zip(series.xs, series.medians, series.ranges, strict=True)
    return {"label": series.label, "colour": colour, "points": [[x, middle, *span] for x, middle, span in rows]}
