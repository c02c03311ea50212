"""Coefficients over training steps: what each search chose, beside the best EMA-shaped row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from lcsc.report.drawing import Data, Drawing
from lcsc.report.numbers import fixed
from lcsc.report.plots import rows
from lcsc.report.records import Baseline, Baselines, Evaluation, Selection
from lcsc.report.style import INK, MUTED, Look, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "coefficients"
DECIMALS = 4


def best_shaped(baselines: Baselines) -> Baseline | None:
    """The EMA-shaped row with the smallest distance on ``selection`` noise."""
    shaped = [e for e in baselines.entries if e.family == "ema-shaped" and e.coefficients is not None]
    return min((e for e in shaped if e.score is not None), key=lambda e: e.score or 0.0, default=None)


def row_of(coefficients: Sequence[Sequence[float]]) -> list[float]:
    """The mean over parameter groups of each checkpoint's coefficient: the row itself for one group."""
    return [fmean(column) for column in zip(*coefficients, strict=True)]


def draw(
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    looks: Mapping[str, Look],
    names: Mapping[str, Sequence[str]] | None = None,
) -> Drawing:
    """The figure and its numbers: a panel for each search; ``names`` of the rows' parameter groups, by search."""
    shaped = best_shaped(baselines)
    shaped_row = row_of(shaped.coefficients) if shaped and shaped.coefficients else None
    if shaped_row is not None and len(shaped_row) != len(evaluation.steps):
        shaped_row = None
    labels = {method.name: method.label for method in evaluation.methods}
    figure = new_figure(height=1.2 + 2.4 * max(1, len(selections)))
    panels = figure.subplots(max(1, len(selections)), 1, sharex=True, squeeze=False)[:, 0]
    tips: dict[str, str] = {}
    for place, (axes, selection) in enumerate(zip(panels, selections, strict=False)):
        if shaped is not None and shaped_row is not None:
            _draw_shaped(axes, evaluation.steps, shaped_row, looks["ema"], shaped.label)
        _draw_search(axes, evaluation.steps, selection, looks[selection.search], labels[selection.search])
        tips |= _draw_tips(axes, place, evaluation.steps, row_of(selection.coefficients), shaped_row)
    if shaped is not None and shaped_row is not None:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left")
    panels[-1].set_xlabel("Training step of the checkpoint")
    alt = _alt(selections, labels, shaped)
    return Drawing(
        name=NAME,
        title="Coefficients over training steps",
        alt=alt,
        caption=_caption(selections, shaped),
        svg=svg_text(figure, NAME, alt, tips),
        png=png_bytes(figure),
        plot=rows.plot(evaluation.steps, selections, labels, looks, names or {}, shaped, shaped_row),
        data=_data(evaluation.steps, selections, shaped, shaped_row),
        details=_details(evaluation.steps, selections, labels, shaped_row),
    )


def _width(steps: Sequence[int]) -> float:
    gaps = [later - former for former, later in pairwise(steps)]
    return float(min(gaps)) if gaps else 1.0


def _draw_search(axes: Axes, steps: Sequence[int], selection: Selection, look: Look, label: str) -> None:
    row = row_of(selection.coefficients)
    groups = len(selection.coefficients)
    for one in selection.coefficients if groups > 1 else ():
        axes.plot(steps, one, color=look.colour, linewidth=0.6, alpha=min(0.5, 8 / groups), zorder=2)
    axes.bar(steps, row, width=0.72 * _width(steps), color=look.colour, zorder=3)
    axes.set_title(fit(label), color=INK)
    if groups > 1:
        axes.set_title(f"bars: mean of {groups} groups", loc="right", fontsize=9, fontweight="normal", color=MUTED)
    axes.axhline(0, color=INK, linewidth=0.8, zorder=4)
    axes.set_ylabel("Coefficient")
    half = 0.8 * _width(steps)
    axes.set_xlim(steps[0] - half, steps[-1] + half)


def _draw_shaped(axes: Axes, steps: Sequence[int], row: Sequence[float], look: Look, label: str) -> None:
    axes.plot(
        steps,
        row,
        color=look.colour,
        marker=look.marker,
        markersize=3.4,
        linewidth=1.4,
        zorder=5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        label=f"{fit(label)} (best of its kind)",
    )


def _draw_tips(
    axes: Axes, place: int, steps: Sequence[int], row: Sequence[float], shaped: Sequence[float] | None
) -> dict[str, str]:
    tips = {}
    half = _width(steps) / 2
    for index, (step, value) in enumerate(zip(steps, row, strict=True)):
        gid = f"step-{place}-{index}"
        axes.axvspan(step - half, step + half, facecolor="none", edgecolor="none", gid=gid, zorder=8)
        tips[gid] = f"step {step:,}: {coefficient_words(value)}"
        if shaped is not None:
            tips[gid] += f" (EMA-shaped {coefficient_words(shaped[index])})"
    return tips


def coefficient_words(value: float) -> str:
    """A coefficient with :data:`DECIMALS`; one that they would show as 0 and is not, by its size."""
    text = fixed(value, DECIMALS)
    return text if value == 0 or float(text.replace("−", "-").replace(",", "")) else f"{value:.0e}".replace("-", "−")


def _alt(selections: Sequence[Selection], labels: Mapping[str, str], shaped: Baseline | None) -> str:
    sentences = []
    for selection in selections:
        row = row_of(selection.coefficients)
        negative = sum(value < 0 for value in row)
        sentences.append(
            f"{labels[selection.search]}: {len(row)} coefficients from {fixed(min(row), 3)} to "
            f"{fixed(max(row), 3)}, {negative} of them negative."
        )
    beside = f" Beside it the best EMA-shaped row, {shaped.label}." if shaped else ""
    return f"Bars of coefficients over training steps. {' '.join(sentences)}{beside}"


def _caption(selections: Sequence[Selection], shaped: Baseline | None) -> str:
    caption = "The coefficients of a row sum to 1; negative ones take a checkpoint’s direction away."
    if any(len(selection.coefficients) > 1 for selection in selections):
        caption += " Thin lines: the rows of single parameter groups; bars: their mean."
    if shaped:
        caption += " Line: the row shaped like an EMA that is best on selection noise."
    return f"{caption}"


def _data(
    steps: Sequence[int],
    selections: Sequence[Selection],
    shaped: Baseline | None,
    shaped_row: Sequence[float] | None,
) -> Data:
    found: list[tuple[str | float | int | None, ...]] = [
        (selection.search, group, step, value)
        for selection in selections
        for group, row in enumerate(selection.coefficients)
        for step, value in zip(steps, row, strict=True)
    ]
    if shaped and shaped_row is not None:
        found += [(shaped.name, 0, step, value) for step, value in zip(steps, shaped_row, strict=True)]
    return Data(("name", "group", "step", "coefficient"), tuple(found))


def _details(
    steps: Sequence[int],
    selections: Sequence[Selection],
    labels: Mapping[str, str],
    shaped_row: Sequence[float] | None,
) -> Data:
    columns = [row_of(selection.coefficients) for selection in selections]
    names = [labels[selection.search] for selection in selections]
    if shaped_row is not None:
        columns.append(list(shaped_row))
        names.append("Best EMA-shaped row")
    values = zip(steps, *columns, strict=True)
    lines = tuple((f"{step:,}", *(coefficient_words(value) for value in row)) for step, *row in values)
    return Data(("Training step", *names), lines)
