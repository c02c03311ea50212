"""The result in one picture: each method's distance to held-out images, a panel for each extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcsc.report.drawing import Drawing
from lcsc.report.figures.scales import is_wide, set_log
from lcsc.report.headline import BASE, HELD_OUT, compare_to_base
from lcsc.report.numbers import fixed, ratio
from lcsc.report.plots import methods
from lcsc.report.records import Column, Evaluation, Method
from lcsc.report.searched import column_mark
from lcsc.report.style import HAIRLINE, INK, MUTED, Look, brief, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "result"
WIDTH, LABEL = 7.4, 36  # inches; characters of a name


def draw(evaluation: Evaluation, looks: Mapping[str, Look]) -> Drawing:
    """The figure; its numbers are those of the result table."""
    columns = [column for column in evaluation.columns if column.part == HELD_OUT] or list(evaluation.columns)
    columns = sorted(columns, key=lambda column: column.searched)
    count = len(evaluation.methods)
    figure = new_figure(width=WIDTH, height=1.2 + 0.28 * count)
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        _draw_panel(axes, evaluation, column, looks)
    panels[0].set_yticks(range(count), [fit(brief(method.label), LABEL) for method in evaluation.methods])
    panels[0].set_ylim(count - 0.4, -0.6)
    alt = _alt(evaluation, columns)
    return Drawing(
        name=NAME,
        title="The result",
        alt=alt,
        caption=(
            "Distance to held-out images on fresh noise, smaller (further left) is better; whiskers: standard "
            "deviation of one block of noise; ×: ratio to the best EMA (dashed line); dotted line: real held-out "
            "against real training images, which few held-out images raise."
        ),
        svg=svg_text(figure, NAME, alt),
        png=png_bytes(figure),
        plot=methods.plot(evaluation, columns, looks),
    )


def _draw_panel(axes: Axes, evaluation: Evaluation, column: Column, looks: Mapping[str, Look]) -> None:
    for place, method in enumerate(evaluation.methods):
        _draw_method(axes, place, method, evaluation, column, looks[method.name])
    base = evaluation.method(BASE).columns[column.key].mean
    axes.axvline(base, color=looks[BASE].colour, linestyle=(0, (5, 1.8)), linewidth=1.0, zorder=1)
    floor = [column.floor] if column.part == HELD_OUT else []
    for value in floor:
        axes.axvline(value, color=INK, linestyle=(0, (1, 1.6)), linewidth=1.2, zorder=1)
    _set_scale(axes, [*floor, *(method.columns[column.key].mean for method in evaluation.methods)])
    axes.set_title(column.distance)
    mark = column_mark(column, evaluation, "seen by no search")
    above: Mapping[str, Any] = {"xycoords": "axes fraction", "xytext": (0, 6), "textcoords": "offset points"}
    axes.annotate(mark, (1.03, 1.0), fontsize=9, color=MUTED, **above)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_method(axes: Axes, place: int, method: Method, evaluation: Evaluation, column: Column, look: Look) -> None:
    measure = method.columns[column.key]
    bold = "bold" if method.family == "search" else "normal"
    axes.axhline(place, color=HAIRLINE, linewidth=0.5, alpha=0.5, zorder=0)
    # A whisker that reached 0 would have no end on a logarithmic axis.
    low = min(measure.spread, 0.9 * measure.mean)
    axes.errorbar(measure.mean, place, xerr=[[low], [measure.spread]], color=look.colour, linewidth=2, zorder=3)
    axes.plot(
        [measure.mean],
        [place],
        marker=look.marker,
        color=look.colour,
        markersize=7.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=4,
    )
    text = f"{fixed(measure.mean, evaluation.decimals)}  ({ratio(compare_to_base(method, evaluation, column))})"
    where = axes.get_yaxis_transform()
    axes.text(1.03, place, text, transform=where, va="center", fontsize=9, color=INK, fontweight=bold)


def _set_scale(axes: Axes, values: Sequence[float]) -> None:
    words = "Fréchet distance"
    if is_wide(values):
        set_log(axes, "x", min(values) / 1.25, max(values) * 1.25, coarse=True)
        words += ", log"
    else:
        axes.set_xlim(0, 1.1 * max(values) or 1.0)
    axes.set_xlabel(words, loc="left")


def _alt(evaluation: Evaluation, columns: Sequence[Column]) -> str:
    sentences = []
    for column in columns:
        means = {method.label: method.columns[column.key].mean for method in evaluation.methods}
        listed = ", ".join(f"{label} {fixed(mean, evaluation.decimals)}" for label, mean in means.items())
        sentences.append(f"{column.label}: {listed}.")
    return f"Dots at distances. {' '.join(sentences)}"
