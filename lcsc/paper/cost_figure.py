"""A figure of what a search costs and what it saves: seconds of search beside seconds of training, by extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from lcsc.errors import InputError
from lcsc.paper.figure import set_titles
from lcsc.paper.looks import paper_looks
from lcsc.paper.made import Made
from lcsc.paper.measures import Number, speed_up
from lcsc.paper.points import ROLES, Role, column_of, read_points, require_methods, series_of
from lcsc.paper.records import CONSTANT, Records
from lcsc.report.drawing import Data, Drawing
from lcsc.report.figures.scales import set_log
from lcsc.report.numbers import duration
from lcsc.report.style import INK, MUTED, add_legend, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASE = "ema"
SEARCH_COLOUR = "#4b5563"


@dataclass(frozen=True)
class Saving:
    """What one search of one run cost and saved by one extractor, in seconds.

    ``steps``: those of plain training for the best EMA to reach what the search has; ``beyond``: at least so many.
    ``evaluation``: of the final evaluation of all methods of the run.
    """

    method: str
    extractor: Role
    run: str
    steps: float
    beyond: bool
    step_seconds: float
    training: float
    saved: float
    search: float
    evaluation: float


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``cost``; ``spec`` is its section of the configuration."""
    first = next(point for point in records.figures[spec["figure"]]["points"] if point["x"] == spec["at"])
    require_methods(records.evaluations(first["runs"]), [BASE, *spec["methods"]])
    savings = savings_of(spec, records)
    evaluation = records.run(first["runs"][0]).evaluation
    labels = {method: spec["labels"].get(method, evaluation.method(method).label) for method in spec["methods"]}
    figure = new_figure(width=8.4, height=1.5 + 0.55 * len(labels))
    panels = figure.subplots(1, len(ROLES), sharey=True, sharex=True)
    for role, axes in zip(ROLES[::-1], panels, strict=True):
        _bars(axes, [one for one in savings if one.extractor == role], labels)
        set_titles(axes, column_of(evaluation, role))
    add_legend(figure, panels[0], columns=2)
    seconds = [value for one in savings for value in (one.saved, one.search) if value > 0]
    set_log(panels[0], "x", min(seconds) / 2, max(seconds) * 4, coarse=True)
    alt = _alt(spec["title"], savings, labels)
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=(
            f"{spec['title']}, from checkpoints of {spec['at']:,g} steps: medians of {len(first['runs'])} seeds. Saved "
            "are the steps beyond these that plain training takes until its best EMA is as near to held-out images, "
            "times the seconds of a step; ≥ where the longest training does not get there. Search: all its "
            "jobs, choosing among finalists included."
        ),
        svg=svg_text(figure, name, alt),
        data=Data(tuple(field.name for field in fields(Saving)), tuple(astuple(one) for one in savings)),
    )
    return Made(drawing, png_bytes(figure), partial(gained, savings))


def savings_of(spec: Mapping[str, Any], records: Records) -> list[Saving]:
    """What each search of the runs at ``spec``'s ``at`` cost and saved, by extractor and run.

    A step of training takes as long as one of the longest training of the same seed. Raises :class:`InputError` where
    the figure's places are not the trainings' steps.
    """
    points = read_points(records.figures[spec["figure"]]["points"], records)
    series = series_of(points, [BASE, *spec["methods"]])
    found = []
    for role in ROLES:
        for method in spec["methods"]:
            times = speed_up(series[method, role], series[BASE, role], spec["at"])
            for seed, (value, beyond) in enumerate(zip(times.values, times.beyond, strict=True)):
                run, longest = (_run_at(records, spec["figure"], at, seed) for at in (spec["at"], points[-1].x))
                step = longest.training.seconds(CONSTANT) / longest.about["steps"]
                steps = value * spec["at"]
                seconds = run.training.seconds(CONSTANT), (steps - spec["at"]) * step, run.search_seconds(method)
                about = method, role, run.folder.name, steps, beyond, step
                found.append(Saving(*about, *seconds, run.seconds("evaluate")))
    return found


def _run_at(records: Records, figure: str, at: Any, seed: int) -> Any:
    point = next(point for point in records.figures[figure]["points"] if point["x"] == at)
    run = records.run(point["runs"][seed])
    if run.about["steps"] != at:
        raise InputError(
            f"figures.{figure}.points: x: found {at:g} for the run {point['runs'][seed]!r}, whose training has "
            f"{run.about['steps']} steps; expected these, to know what a step costs"
        )
    return run


def gained(savings: Sequence[Saving], spec: Mapping[str, Any], role: Role) -> Number:
    """Seconds of training saved over seconds of search, by run."""
    found = [one for one in savings if (one.method, one.extractor) == (spec["method"], role)]
    return Number(tuple(one.saved / one.search for one in found), tuple(one.beyond for one in found))


def _bars(axes: Axes, savings: Sequence[Saving], labels: Mapping[str, str]) -> None:
    look = paper_looks(list(labels))
    for place, method in enumerate(labels):
        found = [one for one in savings if one.method == method]
        saved, search = median(one.saved for one in found), median(one.search for one in found)
        colour = look[method].colour
        axes.barh(place - 0.2, max(saved, 0), height=0.36, color=colour)
        first = "Seconds of search" if place == 0 else None
        axes.barh(place + 0.2, search, height=0.36, color=SEARCH_COLOUR, label=first)
        for one in found:
            axes.plot([max(one.saved, 0), one.search], [place - 0.2, place + 0.2], ".", color=INK, markersize=4)
        more = "≥ " if any(one.beyond for one in found) else ""
        ends = max(one.saved for one in found), max(one.search for one in found)
        words_of = (-0.2, saved, f"{more}{duration(saved)}"), (0.2, search, duration(search))
        for most, (at, value, words) in zip(ends, words_of, strict=True):
            axes.annotate(
                words, (max(value, most), place + at), xytext=(7, 0), textcoords="offset points",
                va="center", fontsize=8.5, color=INK,
            )  # fmt: skip
    axes.set_yticks(range(len(labels)), [fit(label) for label in labels.values()])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False)
    axes.set_xlabel("Seconds (coloured: of training, saved)", color=MUTED)


def _alt(title: str, savings: Sequence[Saving], labels: Mapping[str, str]) -> str:
    sentences = []
    for role in ROLES[::-1]:
        for method, label in labels.items():
            found = [one for one in savings if (one.method, one.extractor) == (method, role)]
            more = "at least " if any(one.beyond for one in found) else ""
            sentences.append(
                f"{label} ({role}): {more}{duration(median(one.saved for one in found))} of training saved by "
                f"{duration(median(one.search for one in found))} of search."
            )
    return f"{title}. {' '.join(sentences)}"
