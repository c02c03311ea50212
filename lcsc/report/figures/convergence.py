"""Convergence of the searches: every candidate, the best so far, and the baselines as lines.

Each extractor that was searched has a panel of its own (see :mod:`lcsc.report.figures.panels`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lcsc.report.drawing import Drawing
from lcsc.report.figures.labels import spread_apart
from lcsc.report.figures.panels import Panel, alt_text, caption, detail_labels, make_panels
from lcsc.report.figures.traces import Trace, candidate_data, generation_data, middle_of, or_none, trace
from lcsc.report.numbers import short
from lcsc.report.records import Baselines, Evaluation, Generation, Selection
from lcsc.report.style import INK, Look, fit, new_figure
from lcsc.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "convergence"
MANY_POINTS = 4000  # from here on points are drawn as pixels, which keeps the page small
LABEL_GAP = 0.062  # of the axes' height, where there is one panel
HEIGHT, PANEL_HEIGHT, LEGEND_HEIGHT = 3.9, 2.9, 0.9  # inches: of one panel with its legend, else of each part


def draw(
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    generations: Mapping[str, Sequence[Generation]],
    looks: Mapping[str, Look],
) -> Drawing:
    """The figure and its numbers."""
    traces = [trace(s.search, generations.get(s.search, ())) for s in selections]
    labels = {method.name: method.label for method in evaluation.methods}
    panels = make_panels(evaluation, baselines, selections, traces, generations)
    figure = new_figure(height=HEIGHT if len(panels) == 1 else LEGEND_HEIGHT + PANEL_HEIGHT * len(panels))
    all_axes = list(figure.subplots(len(panels), 1, squeeze=False)[:, 0])
    for axes, panel in zip(all_axes, panels, strict=True):
        for one in panel.traces:
            _draw_search(axes, one, looks[one.search], labels[one.search])
        if panel.chose:
            _draw_choices(axes, panel, traces, selections, looks)
        _set_axes(axes, panel, selections)
    _draw_legend(figure, all_axes)
    gap = LABEL_GAP * (1 if len(panels) == 1 else HEIGHT / PANEL_HEIGHT)
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_lines(axes, panel.lines, {**labels, **panel.labels}, looks, gap)
    tips = _draw_tips(all_axes[0], traces, labels)
    alt = alt_text(panels, labels)
    return Drawing(
        name=NAME,
        title="Convergence of the search" if len(traces) == 1 else "Convergence of the searches",
        alt=alt,
        caption=caption(baselines, panels),
        svg=svg_text(figure, NAME, alt, tips),
        data=candidate_data(traces, generations, {one.search: p.extractor for p in panels for one in p.traces}),
        details=generation_data(traces, detail_labels(panels, labels)),
    )


def _draw_search(axes: Axes, one: Trace, look: Look, label: str) -> None:
    points = [(n, score) for n, score in enumerate(one.scores, 1) if score is not None]
    if points:
        x, y = zip(*points, strict=True)
        many = len(points) > MANY_POINTS
        axes.scatter(x, y, s=5, color=look.colour, alpha=0.28, linewidths=0, rasterized=many, zorder=2)
    best = [(n, score) for n, score in enumerate(one.best_so_far(), 1) if score is not None]
    if best:
        x, y = zip(*best, strict=True)
        axes.step(x, y, where="post", color=look.colour, linewidth=2.2, label=f"{fit(label)}: best so far", zorder=4)
    failed = [n for n, score in enumerate(one.scores, 1) if score is None]
    if failed:
        axes.plot(
            failed,
            [0.985] * len(failed),
            "x",
            color=look.colour,
            markersize=4,
            clip_on=False,
            transform=axes.get_xaxis_transform(),
            label="no score",
        )


def _draw_choices(
    axes: Axes, panel: Panel, traces: Sequence[Trace], selections: Sequence[Selection], looks: Mapping[str, Look]
) -> None:
    """Of all searches, since all were chosen by one extractor; those without a curve here stand at the right."""
    end = max([1, *(len(one.scores) for one in panel.traces)])
    for one, selection in zip(traces, selections, strict=True):
        if selection.selection_score is not None:
            axes.plot(
                [max(len(one.scores), 1) if one in panel.traces else end],
                [selection.selection_score],
                marker="D",
                linestyle="none",
                color=looks[one.search].colour,
                markeredgecolor="white",
                markersize=8,
                clip_on=False,
                label="choice, on selection noise" if one in panel.traces else f"choice of {fit(selection.search)}",
                zorder=6,
            )


def _set_axes(axes: Axes, panel: Panel, selections: Sequence[Selection]) -> None:
    scores = sorted(score for one in panel.traces for score in one.scores if score is not None)
    axes.set_xlim(0, max([1, *(len(one.scores) for one in panel.traces)]))
    axes.set_xlabel("Evaluations (candidates scored)")
    axes.set_ylabel(f"FD ({fit(panel.extractor)}), training images" if panel.extractor else "Score")
    # The worst candidates of a population lie far away; the range shows what is near the baselines.
    shown = [*scores[: max(1, round(0.97 * len(scores)))], *panel.lines.values()]
    if panel.chose:
        shown += [s.selection_score for s in selections if s.selection_score is not None]
    if shown and min(shown) > 0:
        low, high = min(shown) / 1.12, max(shown) * 1.12
        if high / low > 4:
            axes.set_yscale("log")
            _plain_log_ticks(axes)
        axes.set_ylim(low, high)


def _draw_legend(figure: Figure, all_axes: Sequence[Axes]) -> None:
    # One entry for each label: several searches share "no score" and "choice".
    found = [pair for axes in all_axes for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)]
    handles = dict(found)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)


def _plain_log_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_lines(
    axes: Axes, lines: Mapping[str, float], labels: Mapping[str, str], looks: Mapping[str, Look], gap: float
) -> None:
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [float(to_axes.transform((0, value))[1]) for value in lines.values()]
    for (name, value), height in zip(lines.items(), spread_apart(heights, gap), strict=True):
        look = looks[name]
        axes.axhline(value, color=look.colour, linestyle=look.dash, linewidth=1.6, zorder=3)
        axes.annotate(
            f"{fit(labels.get(name, name))}  {short(value)}",
            (1, value),
            (1.03, height),
            xycoords=axes.get_yaxis_transform(),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": look.colour,
                "linewidth": 1.2,
                "shrinkA": 1,
                "shrinkB": 0,
            },
        )


def _draw_tips(axes: Axes, traces: Sequence[Trace], labels: Mapping[str, str]) -> dict[str, str]:
    if len(traces) != 1:
        return {}
    one = traces[0]
    best = one.best_so_far()
    tips = {}
    for number, (start, end) in enumerate(zip((0, *one.ends), one.ends, strict=False)):
        if end > start:
            gid = f"generation-{number}"
            axes.axvspan(start, end, facecolor="none", edgecolor="none", gid=gid, zorder=8)
            middle = or_none(middle_of(one.scores[start:end]))
            tips[gid] = (
                f"generation {number}, evaluations {start + 1} to {end}: "
                f"best so far {or_none(best[end - 1])}, median of the generation {middle}"
            )
    return tips
