"""Convergence of the searches: every candidate, the best so far, and the baselines as lines.

Scores on fresh noise have no best: there a running median stands for it.

Each extractor that was searched has a panel of its own (see :mod:`lcsc.report.figures.panels`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lcsc.protocol import distance_name
from lcsc.report.drawing import Drawing
from lcsc.report.figures.labels import spread_apart
from lcsc.report.figures.panels import Panel, alt_text, caption, detail_labels, make_panels, shown_range
from lcsc.report.figures.scales import is_wide, set_log
from lcsc.report.figures.traces import Trace, candidate_data, generation_data, middle_of, or_none, trace
from lcsc.report.numbers import short
from lcsc.report.plots import courses
from lcsc.report.records import Baselines, Evaluation, Generation, Selection
from lcsc.report.style import INK, MUTED, Look, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "convergence"
MANY_POINTS = 4000  # from here on points are drawn as pixels, which keeps the page small
LABEL_GAP = 0.062  # of the axes' height, where there is one panel
DIAMOND: Mapping[str, Any] = {"marker": "D", "linestyle": "none", "markeredgecolor": "white", "markersize": 8}
NO_SCORE = "no score"
HEIGHT, PANEL_HEIGHT, LEGEND_HEIGHT = 3.9, 2.9, 0.9  # inches: of one panel with its legend, else of each part


def draw(
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    generations: Mapping[str, Sequence[Generation]],
    looks: Mapping[str, Look],
    seconds: Mapping[str, Sequence[float]] | None = None,
) -> Drawing:
    """The figure and its numbers; ``seconds`` up to each evaluation, of the searches where they are known."""
    traces = [trace(s.search, generations.get(s.search, ())) for s in selections]
    labels = {method.name: method.label for method in evaluation.methods}
    panels = make_panels(evaluation, baselines, selections, traces, generations)
    counts = _counts(traces, selections)
    figure = new_figure(height=HEIGHT if len(panels) == 1 else LEGEND_HEIGHT + PANEL_HEIGHT * len(panels))
    all_axes = list(figure.subplots(len(panels), 1, squeeze=False)[:, 0])
    for axes, panel in zip(all_axes, panels, strict=True):
        for one in panel.traces:
            _draw_search(axes, one, looks[one.search], labels[one.search])
        if panel.chose:
            _draw_choices(axes, counts, selections, looks)
        _set_axes(axes, panel, counts, selections)
    chosen = any(panel.chose for panel in panels) and any(s.selection_score is not None for s in selections)
    _draw_legend(figure, all_axes, chosen)
    gap = LABEL_GAP * (1 if len(panels) == 1 else HEIGHT / PANEL_HEIGHT)
    for axes, panel in zip(all_axes, panels, strict=True):
        _draw_lines(axes, panel.lines, {**labels, **panel.labels}, looks, gap)
    tips = _draw_tips(all_axes[0], traces, labels)
    alt = alt_text(panels, labels)
    return Drawing(
        name=NAME,
        title="Convergence of the search" if len(traces) == 1 else "Convergence of the searches",
        alt=alt,
        caption=caption(baselines, panels) + _untimed(traces, seconds or {}, labels),
        svg=svg_text(figure, NAME, alt, tips),
        png=png_bytes(figure),
        plot=courses.plot(panels, selections, counts, labels, looks, seconds or {}),
        data=candidate_data(traces, generations, {one.search: p.extractor for p in panels for one in p.traces}),
        details=generation_data(traces, detail_labels(panels, labels)),
    )


def _untimed(traces: Sequence[Trace], seconds: Mapping[str, Sequence[float]], labels: Mapping[str, str]) -> str:
    """Why there is no choice of seconds in the page, where some journal is gone: all searches need theirs."""
    names = [fit(labels[search]) for search in courses.untimed(traces, seconds)]
    return f" Not shown against seconds: no whole journal of {', '.join(names)}." if names else ""


def _draw_search(axes: Axes, one: Trace, look: Look, label: str) -> None:
    points = [(n, score) for n, score in enumerate(one.scores, 1) if score is not None]
    if points:
        x, y = zip(*points, strict=True)
        many = len(points) > MANY_POINTS
        size, alpha = (9, 0.55) if one.is_fresh else (5, 0.28)
        axes.scatter(x, y, s=size, color=look.colour, alpha=alpha, linewidths=0, rasterized=many, zorder=2)
    course = [(n, score) for n, score in enumerate(one.course(), 1) if score is not None]
    if course:
        x, y = zip(*course, strict=True)
        words = "running median" if one.is_fresh else "best so far"
        axes.step(x, y, where="post", color=look.colour, linewidth=2.2, label=f"{fit(label)}: {words}", zorder=4)
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
            label=NO_SCORE,
        )


def _draw_choices(
    axes: Axes, counts: Mapping[str, int], selections: Sequence[Selection], looks: Mapping[str, Look]
) -> None:
    """Of all searches, since all were chosen by one extractor; each at its search's own number of evaluations."""
    for selection in selections:
        if selection.selection_score is not None:
            axes.plot(
                [counts[selection.search]],
                [selection.selection_score],
                color=looks[selection.search].colour,
                clip_on=False,
                zorder=6,
                **DIAMOND,
            )


def _counts(traces: Sequence[Trace], selections: Sequence[Selection]) -> dict[str, int]:
    """Evaluations of each search, as its selection says where its generations are not there."""
    return {s.search: len(one.scores) or max(1, s.evaluations) for one, s in zip(traces, selections, strict=True)}


def _set_axes(axes: Axes, panel: Panel, counts: Mapping[str, int], selections: Sequence[Selection]) -> None:
    ends = [n for name, n in counts.items() if panel.chose or name in [one.search for one in panel.traces]]
    words = "Evaluations (candidates scored)"
    if is_wide(ends):
        set_log(axes, "x", 1, max(ends))
        words += ", log"
    else:
        axes.set_xlim(0, max([1, *ends]))
    axes.set_xlabel(words)
    words = f"{distance_name(fit(panel.extractor), panel.measure)}, training images" if panel.extractor else "Score"
    low, high = shown_range(panel, selections)
    if is_wide([low, high]):
        set_log(axes, "y", low, high)
        words += ", log"
    else:
        axes.set_ylim(low, high)
    axes.set_ylabel(words)


def _draw_legend(figure: Figure, all_axes: Sequence[Axes], chosen: bool) -> None:
    from matplotlib.lines import Line2D

    # One entry for each label: several searches share "no score".
    found = [pair for axes in all_axes for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)]
    handles = {label: handle for label, handle in found if label != NO_SCORE}
    if any(label == NO_SCORE for label, _ in found):
        handles[NO_SCORE] = Line2D([], [], marker="x", color=MUTED, linestyle="none", markersize=4)
    if chosen:
        handles["choice, on selection noise"] = Line2D([], [], color=MUTED, **DIAMOND)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)


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
    course, word = one.course(), "running median" if one.is_fresh else "best so far"
    tips = {}
    for number, (start, end) in enumerate(zip((0, *one.ends), one.ends, strict=False)):
        if end > start:
            gid = f"generation-{number}"
            axes.axvspan(start, end, facecolor="none", edgecolor="none", gid=gid, zorder=8)
            middle = or_none(middle_of(one.scores[start:end]))
            tips[gid] = (
                f"generation {number}, evaluations {start + 1} to {end}: "
                f"{word} {or_none(course[end - 1])}, median of the generation {middle}"
            )
    return tips
