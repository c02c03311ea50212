"""Distance to held-out images over work and over seconds: a line for each method, over several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from lcsc.protocol import distance_name
from lcsc.report.courses import Spent, Trace, TracedRun
from lcsc.report.drawing import Data, Drawing
from lcsc.report.headline import compare_to_base
from lcsc.report.numbers import ratio, short
from lcsc.report.records import Column
from lcsc.report.style import INK, MUTED, Look, fit, looks, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "curves"
AXES = ("equivalents", "seconds")
LEVELS = ("decayed", "continued", "post-hoc")  # baselines that cost no search: drawn as levels
POINTS = 80  # of a line
DOTTED = (0, (1.0, 1.2))


@dataclass(frozen=True)
class Line:
    """Median and range over the runs of a ratio to the best EMA, after each amount of ``work``."""

    work: tuple[float, ...]
    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    runs: int


def over_runs(courses: Sequence[Sequence[tuple[float, float]]]) -> Line:
    """The line of several courses (work, ratio): each holds its ratio from one point to the next, and at the end.

    It begins where all have begun and ends at the median of their ends.
    """
    first = max(course[0][0] for course in courses)
    last = max(first, median(course[-1][0] for course in courses))
    spaced = np.geomspace(first, last, POINTS).tolist() if last > first > 0 else []
    points = {work for course in courses for work, _ in course if first <= work <= last}
    work = sorted({first, last, *spaced[1:-1], *points})
    values = np.array([[_held(course, amount) for amount in work] for course in courses])
    lines = (np.median(values, axis=0), values.min(axis=0), values.max(axis=0))
    middle, low, high = (tuple(line.tolist()) for line in lines)
    return Line(tuple(work), middle, low, high, len(courses))


def _held(course: Sequence[tuple[float, float]], work: float) -> float:
    return [ratio for at, ratio in course if at <= work][-1]


def draw(runs: Sequence[TracedRun]) -> tuple[Drawing, bytes]:
    """The figure with its numbers as SVG, and as PNG."""
    columns, names = runs[0].columns, _names(runs)
    look, labels = _looks(runs[0], names), _labels(runs, names)
    figure = new_figure(width=10.5, height=7.2)
    panels = figure.subplots(len(AXES), len(columns), sharex="row", sharey="col", squeeze=False)
    rows: list[tuple[str | float | int | None, ...]] = []
    for axis, line_of_axes in zip(AXES, panels, strict=True):
        for column, axes in zip(columns, line_of_axes, strict=True):
            _draw_levels(axes, runs, column, labels, look)
            for name in names:
                line = _line(runs, name, column, axis)
                if line is not None:
                    _draw_line(axes, line, look[name], labels[name])
                    rows += _rows(name, column, axis, line)
            _set_axes(axes, axis, column, runs)
    _draw_legend(figure, panels[0][0])
    alt = _alt(runs, names, labels, columns)
    header = ("method", "column", "axis", "work", "median", "smallest", "largest", "runs")
    return (
        Drawing(
            name=NAME,
            title="Distance over work",
            alt=alt,
            caption=(
                "Distance to held-out images over that run's best EMA, for the best candidate so far, on one block of "
                f"report noise. Lines: median over {len(runs)} runs; bands: their range. Levels: baselines that need "
                "no search. A gradient counts as the evaluations that are made in its time."
            ),
            svg=svg_text(figure, NAME, alt),
            data=Data(header, tuple(rows)),
        ),
        png_bytes(figure),
    )


def _names(runs: Sequence[TracedRun]) -> list[str]:
    """The names of all traces that all runs have, searches in the order of the evaluation before fine-tunings."""
    order = [method.name for method in runs[0].evaluation.methods]
    traces = sorted(
        runs[0].traces,
        key=lambda trace: (trace.family != "search", order.index(trace.method) if trace.method in order else 0),
    )
    return [trace.name for trace in traces if all(_trace(run, trace.name) is not None for run in runs)]


def _trace(run: TracedRun, name: str) -> Trace | None:
    return next((trace for trace in run.traces if trace.name == name), None)


def _looks(run: TracedRun, names: Sequence[str]) -> dict[str, Look]:
    """The looks of all traces: a fine-tuning has that of its family, and the second of a family other dashes."""
    families = {name: trace.family for name in names if (trace := _trace(run, name)) is not None}
    known = looks([*(name for name in names if families[name] == "search"), *LEVELS, *families.values()])
    found, taken = dict(known), set()
    for name in names:
        if families[name] != "search":
            look = known[families[name]]
            found[name] = replace(look, dash=DOTTED if families[name] in taken else "--")
            taken.add(families[name])
    return found


def _labels(runs: Sequence[TracedRun], names: Sequence[str]) -> dict[str, str]:
    """``Fine-tuned (span)`` for fine-tunings, else the name, which is what differs; and the baselines' words."""
    labels = {method.name: method.label.split(" (")[0] for method in runs[0].evaluation.methods}
    found = {name: labels[name] for name in LEVELS if name in labels}
    for name in names:
        trace = _trace(runs[0], name)
        found[name] = name if trace is None or trace.family == "search" else f"fine-tuned ({name})"
    return found


def _line(runs: Sequence[TracedRun], name: str, column: Column, axis: str) -> Line | None:
    courses = []
    for run in runs:
        trace = _trace(run, name)
        course = [] if trace is None else [(_work(spent, axis), value) for spent, value in trace.ratios(column.key)]
        if course:
            courses.append(course)
    return over_runs(courses) if courses else None


def _work(spent: Spent, axis: str) -> float:
    return spent.equivalents if axis == "equivalents" else spent.seconds


def _rows(name: str, column: Column, axis: str, line: Line) -> list[tuple[str | float | int | None, ...]]:
    numbers = zip(line.work, line.middle, line.low, line.high, strict=True)
    return [(name, column.key, axis, *values, line.runs) for values in numbers]


def _draw_line(axes: Axes, line: Line, look: Look, label: str) -> None:
    axes.fill_between(line.work, line.low, line.high, step="post", color=look.colour, alpha=0.08, linewidth=0, zorder=2)
    axes.step(
        line.work, line.middle, where="post", color=look.colour, linestyle=look.dash, label=fit(label), zorder=4,
        linewidth=1.5, marker=look.marker, markevery=[len(line.work) - 1],
    )  # fmt: skip


def _level(runs: Sequence[TracedRun], name: str, column: Column) -> float | None:
    found = [run for run in runs if any(method.name == name for method in run.evaluation.methods)]
    if not found:
        return None
    return median(compare_to_base(run.evaluation.method(name), run.evaluation, column) for run in found)


def _draw_levels(
    axes: Axes, runs: Sequence[TracedRun], column: Column, labels: Mapping[str, str], look: Mapping[str, Look]
) -> None:
    axes.axhline(1, color=INK, linewidth=0.9, linestyle=(0, (1, 1.6)), label="Best EMA", zorder=3)
    for name in LEVELS:
        level = _level(runs, name, column)
        if level is not None:
            shown = look[name]
            axes.axhline(level, color=shown.colour, linestyle=shown.dash, linewidth=1.2, label=labels[name], zorder=3)


def _set_axes(axes: Axes, axis: str, column: Column, runs: Sequence[TracedRun]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(xscale="log", yscale="log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    for each in (axes.xaxis, axes.yaxis):
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if axis == "equivalents":
        axes.set_title(distance_name(fit(column.extractor), column.measure))
        axes.set_title(
            "searched" if column.searched else "seen by no search",
            loc="right", fontsize=9, fontweight="normal", color=MUTED,
        )  # fmt: skip
    unit = runs[0].traces[0].unit
    axes.set_xlabel(f"Evaluations of {unit:,} images, or as costly" if axis == "equivalents" else "Seconds of scoring")
    if column == runs[0].columns[0]:
        axes.set_ylabel("Held-out distance ÷ best EMA")


def _draw_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")


def _alt(runs: Sequence[TracedRun], names: Sequence[str], labels: Mapping[str, str], columns: Sequence[Column]) -> str:
    sentences = []
    for column in columns:
        ends = []
        for name in names:
            line = _line(runs, name, column, "equivalents")
            if line is not None:
                ends.append(f"{labels[name]} {ratio(line.middle[-1])} after {short(line.work[-1])}")
        sentences.append(f"{column.distance} over the best EMA's: {', '.join(ends)}.")
    return f"Distance over evaluations and over seconds. {' '.join(sentences)}"
