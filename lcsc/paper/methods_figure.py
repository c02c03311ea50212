"""A figure of methods of the same runs: a panel for each extractor, a row for each method, a point for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from lcsc.paper.figure import HEADER, set_titles
from lcsc.paper.looks import paper_looks
from lcsc.paper.made import Made
from lcsc.paper.measures import between
from lcsc.paper.points import ROLES, Point, Role, Series, column_of, require_methods, rows_of, series_of
from lcsc.paper.records import Records
from lcsc.report.drawing import Data, Drawing
from lcsc.report.figures.scales import is_wide, set_log
from lcsc.report.numbers import short
from lcsc.report.style import HAIRLINE, INK, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASE = "ema"  # whose median a line shows
PLACE = "all runs"


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``methods``; ``spec`` is its section of the configuration."""
    evaluations = records.evaluations(spec["runs"])
    require_methods(evaluations, spec["methods"])
    points = [Point(PLACE, evaluations)]
    series = series_of(points, spec["methods"], spec["labels"])
    return Made(*draw(name, spec, points, series), partial(between, series))


def draw(
    name: str, spec: Mapping[str, Any], points: Sequence[Point], series: Mapping[tuple[str, Role], Series]
) -> tuple[Drawing, bytes]:
    """The figure as SVG with its numbers, and as PNG."""
    shown = list(dict.fromkeys(method for method, _ in series))
    figure = new_figure(width=8.4, height=1.2 + 0.34 * len(shown))
    panels = figure.subplots(1, len(ROLES), sharey=True)
    for role, axes in zip(ROLES[::-1], panels, strict=True):
        _rows(axes, [series[method, role] for method in shown])
        set_titles(axes, column_of(points[0].evaluations[0], role))
    seeds = len(points[0].evaluations)
    alt = _alt(spec["title"], series)
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=(
            f"{spec['title']}. Large: medians of {seeds} training seeds; small: each seed, whose points a grey line "
            "joins; upright: the median of the best EMA. Held-out images."
        ),
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(rows_of(series))),
    )
    return drawing, png_bytes(figure)


def _rows(axes: Axes, rows: Sequence[Series]) -> None:
    look = paper_looks([row.method for row in rows])
    values = [row.values[0] for row in rows]
    places = range(len(rows))
    for seed in zip(*values, strict=True):
        axes.plot(seed, places, color=HAIRLINE, linewidth=0.6, alpha=0.7, zorder=1)
    for place, (row, of_seeds) in enumerate(zip(rows, values, strict=True)):
        style = look[row.method]
        axes.plot(of_seeds, [place] * len(of_seeds), ".", color=style.colour, markersize=5, alpha=0.6, zorder=3)
        axes.plot(
            median(of_seeds), place, marker=style.marker, color=style.colour, markersize=8.5,
            markeredgecolor="white", linestyle="none", zorder=4,
        )  # fmt: skip
        if row.method == BASE:
            axes.axvline(median(of_seeds), color=style.colour, linestyle=style.dash, linewidth=1.1, zorder=0)
    axes.set_yticks(places, [fit(row.label) for row in rows], color=INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("Distance to held-out images")
    flat = [value for of_seeds in values for value in of_seeds]
    if is_wide(flat):
        set_log(axes, "x", min(flat) / 1.15, max(flat) * 1.15, coarse=True)


def _alt(title: str, series: Mapping[tuple[str, Role], Series]) -> str:
    sentences = [
        f"{one.label} ({role}): {short(one.medians[0])}, {short(one.ranges[0][0])} to {short(one.ranges[0][1])}."
        for (_, role), one in series.items()
    ]
    return f"{title}: medians and ranges over the seeds. {' '.join(sentences)}"
