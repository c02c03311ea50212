"""Convergence of the searches: every candidate, the best so far, and the baselines as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lcsc.report.drawing import Drawing
from lcsc.report.figures.labels import spread_apart
from lcsc.report.figures.traces import Trace, candidate_data, generation_data, middle_of, or_none, trace
from lcsc.report.numbers import short
from lcsc.report.records import Baselines, Evaluation, Generation, Selection
from lcsc.report.style import INK, Look, fit, new_figure
from lcsc.report.svg import svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "convergence"
LINES = ("last", "decayed", "ema")
MANY_POINTS = 4000  # from here on points are drawn as pixels, which keeps the page small
LABEL_GAP = 0.062  # of the axes' height


def draw(
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    generations: Mapping[str, Sequence[Generation]],
    looks: Mapping[str, Look],
) -> Drawing:
    """The figure and its numbers."""
    traces = [trace(s.search, generations.get(s.search, ())) for s in selections]
    lines = {name: entry.score for name in LINES if (entry := baselines.best(name)) and entry.score is not None}
    labels = {method.name: method.label for method in evaluation.methods}
    figure = new_figure(height=3.9)
    axes = figure.add_subplot()
    for one in traces:
        _draw_search(axes, one, looks[one.search], labels[one.search])
    _draw_choices(axes, traces, selections, looks)
    _set_axes(axes, evaluation, traces, lines)
    _draw_legend(figure, axes)
    _draw_lines(axes, lines, labels, looks)
    tips = _draw_tips(axes, traces, labels)
    return Drawing(
        name=NAME,
        title="Convergence of the search",
        alt=_alt(traces, lines, labels),
        caption=_caption(baselines, traces),
        svg=svg_text(figure, NAME, _alt(traces, lines, labels), tips),
        data=candidate_data(traces, generations),
        details=generation_data(traces, labels),
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
    axes: Axes, traces: Sequence[Trace], selections: Sequence[Selection], looks: Mapping[str, Look]
) -> None:
    for one, selection in zip(traces, selections, strict=True):
        if selection.selection_score is not None:
            axes.plot(
                [max(len(one.scores), 1)],
                [selection.selection_score],
                marker="D",
                linestyle="none",
                color=looks[one.search].colour,
                markeredgecolor="white",
                markersize=8,
                clip_on=False,
                label="choice, on selection noise",
                zorder=6,
            )


def _set_axes(axes: Axes, evaluation: Evaluation, traces: Sequence[Trace], lines: Mapping[str, float]) -> None:
    scores = sorted(score for one in traces for score in one.scores if score is not None)
    axes.set_xlim(0, max([1, *(len(one.scores) for one in traces)]))
    axes.set_xlabel("Evaluations (candidates scored)")
    extractor = evaluation.searched_extractor
    axes.set_ylabel(f"FD ({extractor}), training images" if extractor else "Score")
    # The worst candidates of a population lie far away; the range shows what is near the baselines.
    shown = [*scores[: max(1, round(0.97 * len(scores)))], *lines.values()]
    if shown and min(shown) > 0:
        low, high = min(shown) / 1.12, max(shown) * 1.12
        if high / low > 4:
            axes.set_yscale("log")
            _plain_log_ticks(axes)
        axes.set_ylim(low, high)


def _draw_legend(figure: Figure, axes: Axes) -> None:
    # One entry for each label: several searches share "no score" and "choice".
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)


def _plain_log_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_lines(axes: Axes, lines: Mapping[str, float], labels: Mapping[str, str], looks: Mapping[str, Look]) -> None:
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [float(to_axes.transform((0, value))[1]) for value in lines.values()]
    for (name, value), height in zip(lines.items(), spread_apart(heights, LABEL_GAP), strict=True):
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


def _alt(traces: Sequence[Trace], lines: Mapping[str, float], labels: Mapping[str, str]) -> str:
    sentences = []
    for one in traces:
        best = one.best_so_far()
        if best and best[-1] is not None:
            first = next(score for score in best if score is not None)
            sentences.append(
                f"{labels[one.search]} goes from {short(first)} to {short(best[-1])} in {len(best):,} evaluations."
            )
        else:
            sentences.append(f"{labels[one.search]} has no scored candidate.")
    known = ", ".join(f"{labels.get(name, name)} {short(value)}" for name, value in lines.items())
    return f"Distance over evaluations. {' '.join(sentences)} Baselines: {known or 'none'}."


def _caption(baselines: Baselines, traces: Sequence[Trace]) -> str:
    failed = sum(score is None for one in traces for score in one.scores)
    caption = (
        "Points: candidates on search noise; thick line: the best so far. Dashed lines: baselines on "
        f"selection noise ({baselines.images:,} images), the noise on which the finalists are scored again "
        "(diamond). What is lowest on search noise is lucky there, so the diamond is a bit higher as a rule. "
        "An evaluation with its gradient costs four to five times as much as one without."
    )
    return caption + (f" {failed:,} candidates have no score (crosses at the top)." if failed else "")
