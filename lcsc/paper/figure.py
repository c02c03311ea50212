"""A figure over several runs: a panel for each extractor, a line with its range for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lcsc.paper.lines import lines_plot
from lcsc.paper.looks import paper_looks
from lcsc.paper.made import Made
from lcsc.paper.measures import between
from lcsc.paper.points import ROLES, Point, Role, Series, column_of, read_points, rows_of, series_of
from lcsc.paper.records import Records
from lcsc.report.drawing import Data, Drawing
from lcsc.report.figures.scales import is_wide, set_log
from lcsc.report.numbers import short
from lcsc.report.records import Column
from lcsc.report.style import MUTED, Look, add_legend, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = ("method", "extractor", "x", "seed", "distance")


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``points``; ``spec`` is its section of the configuration."""
    points = read_points(spec["points"], records)
    series = series_of(points, spec["methods"], spec["labels"])
    return Made(*draw(name, spec, points, series), partial(between, series))


def draw(
    name: str, spec: Mapping[str, Any], points: Sequence[Point], series: Mapping[tuple[str, Role], Series]
) -> tuple[Drawing, bytes]:
    """The figure as SVG with its numbers, and as PNG."""
    shown = list(dict.fromkeys(method for method, _ in series))
    look = paper_looks(shown)
    figure = new_figure(width=8.4, height=3.8)
    panels = figure.subplots(1, len(ROLES), sharex=True)
    for role, axes in zip(ROLES[::-1], panels, strict=True):
        for method in shown:
            if (method, role) in series:
                _line(axes, series[method, role], look[method], spec["x"]["scale"])
        _set(axes, spec, points, role, [one for (_, r), one in series.items() if r == role])
    add_legend(figure, panels[0], columns=5)
    alt = _alt(spec, series)
    seeds = len(points[0].evaluations)
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=f"{spec['title']}. Lines: medians over {seeds} training seeds; bars: their range. Held-out images.",
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(rows_of(series))),
        plot=lines_plot(spec["x"], points, series, look),
    )
    return drawing, png_bytes(figure)


def _line(axes: Axes, series: Series, look: Look, scale: str) -> None:
    xs = [str(x) for x in series.xs] if scale == "category" else [float(x) for x in series.xs]
    below = [middle - low for middle, (low, _) in zip(series.medians, series.ranges, strict=True)]
    above = [high - middle for middle, (_, high) in zip(series.medians, series.ranges, strict=True)]
    axes.errorbar(
        xs, series.medians, yerr=[below, above], color=look.colour, marker=look.marker, capsize=2.5, elinewidth=1,
        linestyle="none" if scale == "category" else look.dash, label=fit(series.label),
    )  # fmt: skip


def _set(axes: Axes, spec: Mapping[str, Any], points: Sequence[Point], role: Role, series: Sequence[Series]) -> None:
    set_titles(axes, column_of(points[0].evaluations[0], role))
    axes.set_xlabel(spec["x"]["label"])
    if role == ROLES[-1]:
        axes.set_ylabel("Distance to held-out images")
    values = [value for one in series for row in one.values for value in row]
    if is_wide(values):
        set_log(axes, "y", min(values) / 1.2, max(values) * 1.2, coarse=True)
    xs = [float(point.x) for point in points] if spec["x"]["scale"] == "log" else []
    if xs:
        set_log(axes, "x", min(xs) / 1.15, max(xs) * 1.15)
        axes.set_xticks(xs, [f"{x:,g}" for x in xs], rotation=45 if len(xs) > 5 else 0)


def set_titles(axes: Axes, column: Column) -> None:
    """What a panel measures, and whether a search saw it."""
    axes.set_title(column.distance)
    words = "searched" if column.searched else "seen by no search"
    axes.set_title(words, loc="right", fontsize=9, fontweight="normal", color=MUTED)


def _alt(spec: Mapping[str, Any], series: Mapping[tuple[str, Role], Series]) -> str:
    sentences = [
        f"{one.label} ({role}): {', '.join(f'{short(m)} at {x}' for x, m in zip(one.xs, one.medians, strict=True))}."
        for (_, role), one in series.items()
    ]
    return f"{spec['title']}, over {spec['x']['label'].lower()}. {' '.join(sentences)}"
