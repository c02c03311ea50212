"""A figure of coefficients over training steps: a row of panels for each method, a panel for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from lcsc.errors import InputError
from lcsc.paper.coefficient_shapes import WORDS, Shape, cosine, from_uniform, shape_of
from lcsc.paper.looks import paper_looks
from lcsc.paper.made import Made
from lcsc.paper.points import require_methods
from lcsc.paper.records import Records
from lcsc.report.drawing import Data, Drawing, Value
from lcsc.report.numbers import short
from lcsc.report.records import Evaluation, Rows
from lcsc.report.style import INK, MUTED, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = ("method", "run", "what", "group", "step", "value")
MIDDLE = (10, 90)  # percentiles of the groups that a line shows


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``coefficients``; ``spec`` is its section of the configuration."""
    evaluations = records.evaluations(spec["runs"])
    require_methods(evaluations, spec["methods"])
    found = {method: [coefficients_of(e, method) for e in evaluations] for method in spec["methods"]}
    shapes = {m: [shape_of(c, e.steps) for c, e in zip(found[m], evaluations, strict=True)] for m in found}
    labels = {method: spec["labels"].get(method, evaluations[0].method(method).label) for method in found}
    figure = new_figure(width=8.4, height=0.9 + 1.45 * len(found))
    panels = figure.subplots(len(found), len(evaluations), squeeze=False, sharex="col", sharey="row")
    look = paper_looks(list(found))
    for row, method in zip(panels, found, strict=True):
        for place, (axes, evaluation) in enumerate(zip(row, evaluations, strict=True)):
            _panel(axes, evaluation.steps, found[method][place], look[method].colour, shapes[method][place])
        row[0].set_yscale(spec["scale"], **({"linthresh": 0.05} if spec["scale"] == "symlog" else {}))
        row[0].set_title(fit(labels[method]), color=look[method].colour)
    for axes, evaluation in zip(panels[-1], evaluations, strict=True):
        axes.set_xlabel(f"Training step ({evaluation.run})")
        axes.locator_params(axis="x", nbins=4)
    figure.supylabel("Coefficient", fontsize=10)
    details = _details(found, shapes, labels)
    alt = f"{spec['title']}. " + " ".join(", ".join(map(str, row)) + "." for row in (details.header, *details.rows))
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=(
            f"{spec['title']}, with Σ|α|, the share below 0 and the effective number of checkpoints, 1 / Σp² of "
            "p = |α| / Σ|α|. Where there is a row for each group of weights: their mean, and lines from the 10th to "
            "the 90th percentile of the groups."
        ),
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(_rows(found, shapes, evaluations))),
        details=details,
    )
    return Made(drawing, png_bytes(figure))


def coefficients_of(evaluation: Evaluation, method: str) -> Rows:
    """The coefficients [G, K] of a method; :class:`InputError` where it has none."""
    known = {each.name: each.coefficients for each in evaluation.methods if each.coefficients is not None}
    if method not in known:
        raise InputError(
            f"figures: run {evaluation.run!r}: found no coefficients of {method!r}, expected one of {', '.join(known)}"
        )
    return known[method]


def _panel(axes: Axes, steps: Sequence[int], coefficients: Rows, colour: str, shape: Shape) -> None:
    rows = np.asarray(coefficients)
    width = 0.75 * min(after - before for before, after in pairwise(steps))
    axes.bar(steps, rows.mean(axis=0), width=width, color=colour)
    if len(rows) > 1:
        low, high = np.percentile(rows, MIDDLE, axis=0)
        axes.vlines(steps, low, high, color=INK, linewidth=0.6)
    axes.axhline(0, color=MUTED, linewidth=0.7)
    words = f"Σ|α| {short(shape.l1)} · {shape.negative:.0%} < 0 · n {short(shape.effective)}"
    axes.annotate(
        words, (0.01, 1), xycoords="axes fraction", xytext=(0, -1), textcoords="offset points", fontsize=7.5,
        va="top", color=MUTED, bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}, zorder=5,
    )  # fmt: skip
    axes.margins(y=0.18)


def _details(
    found: Mapping[str, Sequence[Rows]], shapes: Mapping[str, Sequence[Shape]], labels: Mapping[str, str]
) -> Data:
    """Medians over the runs, and how alike the coefficients of two runs are."""
    rows: list[tuple[Value, ...]] = []
    for method, of_runs in shapes.items():
        middles = [short(median(values)) for values in zip(*(asdict(one).values() for one in of_runs), strict=True)]
        rows.append((labels[method], len(found[method][0]), *middles, _across(found[method])))
    return Data(("method", "rows", *WORDS.values(), "cosine between training seeds"), tuple(rows))


def _across(found: Sequence[Rows]) -> str:
    """The median cosine of the coefficients of two runs, where all have as many checkpoints."""
    if len({len(rows[0]) for rows in found}) != 1:
        return "–"
    pairs = (cosine(from_uniform(one), from_uniform(other)) for one, other in combinations(found, 2))
    known = [value for value in pairs if value is not None]
    return short(median(known)) if known else "–"


def _rows(
    found: Mapping[str, Sequence[Rows]], shapes: Mapping[str, Sequence[Shape]], evaluations: Sequence[Evaluation]
) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    for method, of_runs in found.items():
        for evaluation, coefficients, shape in zip(evaluations, of_runs, shapes[method], strict=True):
            about = (method, evaluation.run)
            rows += [(*about, key, None, None, value) for key, value in asdict(shape).items()]
            rows += [
                (*about, "coefficient", group, step, value)
                for group, row in enumerate(coefficients)
                for step, value in zip(evaluation.steps, row, strict=True)
            ]
    return rows
