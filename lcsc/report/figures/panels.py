"""What the figure of the convergence shows, and its words: a panel for each extractor that was searched.

Scores by different extractors are no more comparable than metres and seconds. Baselines, and the choices of all
searches, were scored by the extractor that chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lcsc.protocol import distance_name
from lcsc.report.figures.traces import WINDOW, Trace
from lcsc.report.numbers import short
from lcsc.report.records import Baselines, Evaluation, Generation, Selection
from lcsc.report.searched import own_extractor

MEDIAN = " (running medians, on fresh noise)"
LINES = ("last", "decayed", "ema")
NEAR = 0.97  # share of the scores, the best, that a panel shows
MARGIN = 1.12  # times which it reaches further than what it shows
START = "ema-shaped"  # how the origin of an averaged start begins


@dataclass(frozen=True)
class Panel:
    """The searches of one extractor, and horizontal lines by name: their values, and labels of those of no method."""

    extractor: str
    chose: bool
    traces: tuple[Trace, ...]
    lines: Mapping[str, float]
    labels: Mapping[str, str]
    measure: str = ""

    @property
    def distance(self) -> str:
        """What the distance is called."""
        return distance_name(self.extractor, self.measure)


def make_panels(
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    traces: Sequence[Trace],
    generations: Mapping[str, Sequence[Generation]],
) -> list[Panel]:
    """A panel for each searched extractor, that which chose first; it has the baselines' lines."""
    chose = evaluation.searched_extractor
    found: dict[str, list[Trace]] = {}
    measures = {column.extractor: column.measure for column in evaluation.columns}
    for one, selection in zip(traces, selections, strict=True):
        own = own_extractor(selection, evaluation)
        found.setdefault(own.name if own is not None else chose, []).append(one)
        measures |= {} if own is None else {own.name: own.measure}
    scored = {name: entry.score for name in LINES if (entry := baselines.best(name)) and entry.score is not None}
    panels = []
    for extractor in sorted(found, key=lambda name: name != chose):
        lines, labels = scored, {}
        if extractor != chose:
            start = _best_start(found[extractor], generations)
            lines = {} if start is None else {"ema": start}
            labels = {"ema": "Best EMA-shaped start"}
        panels.append(
            Panel(extractor, extractor == chose, tuple(found[extractor]), lines, labels, measures.get(extractor, ""))
        )
    return panels


def _best_start(traces: Sequence[Trace], generations: Mapping[str, Sequence[Generation]]) -> float | None:
    """The lowest score of an EMA-shaped average with which a search began: where it stood before it searched."""
    scores = [
        candidate.score
        for one in traces
        for candidate in (generations[one.search][0].candidates if generations.get(one.search) else ())
        if candidate.origin.startswith(START) and candidate.score is not None
    ]
    return min(scores, default=None)


def shown_range(panel: Panel, selections: Sequence[Selection]) -> tuple[float, float]:
    """The distances from which to which a panel reaches: what is near the lines, the best and the choices."""
    scores = sorted(score for one in panel.traces for score in one.scores if score is not None)
    # The worst candidates of a population lie far away.
    shown = [*scores[: max(1, round(NEAR * len(scores)))], *panel.lines.values()]
    if panel.chose:
        shown += [s.selection_score for s in selections if s.selection_score is not None]
    low, high = min(shown, default=1.0), max(shown, default=1.0)
    if low > 0:
        return low / MARGIN, high * MARGIN
    edge = (MARGIN - 1) * (high - low or 1.0)
    return low - edge, high + edge


def detail_labels(panels: Sequence[Panel], labels: Mapping[str, str]) -> dict[str, str]:
    """The label of each search, with its extractor where there are several."""
    several = len(panels) > 1
    return {
        one.search: f"{labels[one.search]}, {panel.distance}" if several else labels[one.search]
        for panel in panels
        for one in panel.traces
    }


def alt_text(panels: Sequence[Panel], labels: Mapping[str, str]) -> str:
    """The figure in sentences, for those who cannot see it."""
    sentences = []
    for panel in panels:
        if len(panels) > 1:
            sentences.append(f"By {panel.distance}:")
        for one in panel.traces:
            best = one.course()
            if best and best[-1] is not None:
                first = next(score for score in best if score is not None)
                sentences.append(
                    f"{labels[one.search]} goes from {short(first)} to {short(best[-1])} in {len(best):,} evaluations"
                    f"{MEDIAN if one.is_fresh else ''}."
                )
            else:
                sentences.append(f"{labels[one.search]} has no scored candidate.")
        named = {**labels, **panel.labels}
        known = ", ".join(f"{named.get(name, name)} {short(value)}" for name, value in panel.lines.items())
        sentences.append(f"{'Baselines' if panel.chose else 'Line'}: {known or 'none'}.")
    return f"Distance over evaluations. {' '.join(sentences)}"


def caption(baselines: Baselines, panels: Sequence[Panel]) -> str:
    """What points, lines and diamonds are."""
    traces = [one for panel in panels for one in panel.traces]
    failed = sum(score is None for one in traces for score in one.scores)
    best = "thick line: the best so far" + (
        f"; of a search on fresh noise, whose scores cannot be compared one by one: the median of {WINDOW}"
        if any(one.is_fresh for one in traces)
        else ""
    )
    words = f"Points: candidates on search noise; {best}. "
    if any(panel.chose for panel in panels):
        words += (
            f"Dashed lines: baselines on selection noise ({baselines.images:,} images), the noise on which the "
            "finalists are scored again (diamonds, in the searches’ colours, each at its search’s own number of "
            "evaluations). What is lowest on search noise is lucky there, so the diamond is a "
            "bit higher as a rule. "
        )
    if len(panels) > 1:
        words += "Each extractor that was searched has a panel of its own: their distances cannot be compared. "
    if any(panel.lines and not panel.chose for panel in panels):
        words += (
            "The dashed line of an extractor that did not choose: the best EMA-shaped start, on search noise; its "
            "searches were chosen by the extractor that all methods are chosen by"
        )
        words += " (diamonds away from curves). " if any(panel.chose for panel in panels) else ". "
    words += "An evaluation with its gradient costs four to five times as much as one without."
    return words + (f" {failed:,} candidates have no score (crosses at the top)." if failed else "")
