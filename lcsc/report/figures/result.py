"""The result in one picture: each method's distance to held-out images, a panel for each extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lcsc.report.drawing import Drawing
from lcsc.report.headline import BASE, HELD_OUT, compare_to_base
from lcsc.report.numbers import decimals_for, fixed, ratio
from lcsc.report.records import Column, Evaluation
from lcsc.report.searched import column_mark
from lcsc.report.style import INK, MUTED, Look, fit, new_figure
from lcsc.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "result"
WIDEST = 3.2  # bars longer than this many times the best EMA's are cut, their value stands beside them


def draw(evaluation: Evaluation, looks: Mapping[str, Look]) -> Drawing:
    """The figure; its numbers are those of the result table."""
    columns = [column for column in evaluation.columns if column.part == HELD_OUT] or list(evaluation.columns)
    columns = sorted(columns, key=lambda column: column.searched)
    figure = new_figure(height=1.2 + 0.3 * len(evaluation.methods))
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        _draw_panel(axes, evaluation, column, looks)
    panels[0].set_yticks(range(len(evaluation.methods)), [fit(method.label) for method in evaluation.methods])
    panels[0].invert_yaxis()
    alt = _alt(evaluation, columns)
    return Drawing(
        name=NAME,
        title="The result",
        alt=alt,
        caption=(
            "Distance to held-out images on fresh noise, smaller is better; whiskers: standard deviation "
            "over blocks of noise; ×: ratio to the best EMA; dotted line: real held-out "
            "against real training images."
        ),
        svg=svg_text(figure, NAME, alt),
    )


def _draw_panel(axes: Axes, evaluation: Evaluation, column: Column, looks: Mapping[str, Look]) -> None:
    from matplotlib.ticker import MaxNLocator

    measures = [method.columns[column.key] for method in evaluation.methods]
    decimals = decimals_for([measure.mean for measure in measures])
    limit = WIDEST * evaluation.method(BASE).columns[column.key].mean
    limit = min(limit, max(measure.mean for measure in measures)) or 1.0
    for place, (method, measure) in enumerate(zip(evaluation.methods, measures, strict=True)):
        length = min(measure.mean, limit)
        axes.barh(place, length, height=0.66, color=looks[method.name].colour)
        text = f"{fixed(measure.mean, decimals)}  ({ratio(compare_to_base(method, evaluation, column))})"
        if measure.mean > limit:
            text = f"▸ {text}"
        else:
            axes.errorbar(length, place, xerr=measure.spread, color=INK, linewidth=1.4)
        weight = "bold" if method.family == "search" else "normal"
        offset = min(measure.mean + measure.spread, limit) + 0.03 * limit
        axes.text(offset, place, text, va="center", fontsize=9, color=INK, fontweight=weight)
    axes.axvline(column.floor, color=INK, linestyle=(0, (1, 1.6)), linewidth=1.2)
    mark = column_mark(column, evaluation, "seen by no search")
    axes.set_title(f"FD ({column.extractor})")
    axes.set_title(mark, loc="right", fontsize=9, fontweight="normal", color=MUTED)
    axes.set_xlim(0, 1.62 * limit)
    axes.set_xticks([tick for tick in MaxNLocator(4).tick_values(0, limit) if 0 <= tick <= limit])
    axes.set_xlabel("Fréchet distance", loc="left")
    axes.spines["bottom"].set_bounds(0, limit)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _alt(evaluation: Evaluation, columns: Sequence[Column]) -> str:
    sentences = []
    for column in columns:
        means = {method.label: method.columns[column.key].mean for method in evaluation.methods}
        decimals = decimals_for(means.values())
        listed = ", ".join(f"{label} {fixed(mean, decimals)}" for label, mean in means.items())
        sentences.append(f"{column.label}: {listed}.")
    return f"Bars of distances. {' '.join(sentences)}"
