"""A figure of how alike methods are: maps for coefficients, weights and images, with medians over the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from lcsc.errors import InputError
from lcsc.paper.made import Made
from lcsc.paper.maps import Cells, draw_map
from lcsc.paper.measures import Number
from lcsc.paper.points import Role, require_methods
from lcsc.paper.records import Records
from lcsc.paper.similarity import MEASURES, WHATS, Alike, What
from lcsc.report.drawing import Data, Drawing, Value
from lcsc.report.numbers import fixed
from lcsc.report.style import new_figure
from lcsc.report.svg import png_bytes, svg_text

HEADER = ("of", "method", "other", "run", "similarity")
TITLES: Mapping[What, str] = {
    "coefficients": "Coefficients: cosine",
    "weights": "Weights: cosine",
    "images": "Images of the same noise",
}
COLOURS = "PuOr"
Found = Mapping[What, Sequence[Alike]]  # by what is compared, for each run


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``similarity``; ``spec`` is its section of the configuration."""
    methods, runs = spec["methods"], [records.run(run) for run in spec["runs"]]
    require_methods([run.evaluation for run in runs], methods)
    found: Found = {what: [MEASURES[what](run, methods) for run in runs] for what in WHATS}
    labels = [spec["labels"].get(method, runs[0].evaluation.method(method).label) for method in methods]
    return Made(*draw(name, spec, found, labels), partial(number, found))


def number(found: Found, spec: Mapping[str, Any], role: Role) -> Number:
    """How alike a claim's method and base are, by run; no extractor has a say in it."""
    pair = spec["method"], spec["base"]
    values = [alike[pair] for alike in found[spec["of"]]]
    known = tuple(value for value in values if value is not None)
    if len(known) != len(values):
        raise InputError(f"claims: {' and '.join(map(repr, pair))}: found no similarity of {spec['of']} in some run")
    return Number(known, (False,) * len(known))


def medians(methods: Sequence[str], of_runs: Sequence[Alike]) -> Cells:
    """Over the runs, [methods][methods]; None where a run has none."""
    return [[_median([alike[one, other] for alike in of_runs]) for other in methods] for one in methods]


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if len(known) == len(values) else None


def draw(name: str, spec: Mapping[str, Any], found: Found, labels: Sequence[str]) -> tuple[Drawing, bytes]:
    """The figure as SVG with its numbers, and as PNG."""
    from matplotlib.colors import Normalize

    methods = spec["methods"]
    figure = new_figure(width=8.4, height=2.0 + 0.36 * len(methods))
    panels = figure.subplots(1, len(WHATS), sharey=True)
    cells = {what: medians(methods, found[what]) for what in WHATS}
    for axes, what in zip(panels, WHATS, strict=True):
        draw_map(axes, cells[what], labels, labels, _two_digits, norm=Normalize(-1, 1), colours=COLOURS)
        axes.set_title(TITLES[what])
        axes.tick_params(axis="x", labelrotation=90)
    alt = _alt(spec["title"], labels, cells)
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=(
            f"{spec['title']}: 1 for the same; medians of {len(spec['runs'])} training seeds. Cosines of coefficients' "
            "differences from the uniform average (means over groups of weights) and of weights' differences from the "
            "checkpoints' mean. Images: 1 − E|x − y|² on the same noise over that on any noise, 0 for unrelated ones."
            f"{_empty_words(labels, cells)}"
        ),
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(_rows(spec["runs"], found))),
    )
    return drawing, png_bytes(figure)


def _empty_words(labels: Sequence[str], cells: Mapping[What, Cells]) -> str:
    """Which methods have nothing to be compared by in some run: an average from a file has no coefficients."""
    names = [
        f"{label} ({what})"
        for what, rows in cells.items()
        for place, label in enumerate(labels)
        if rows[place][place] is None
    ]
    return f" Empty, since a run has none: {', '.join(names)}." if names else ""


def _two_digits(value: float) -> str:
    return fixed(value, 2)


def _alt(title: str, labels: Sequence[str], cells: Mapping[What, Cells]) -> str:
    sentences = []
    for what, rows in cells.items():
        pairs = [
            f"{labels[one]} and {labels[other]} {_two_digits(value)}"
            for one, row in enumerate(rows)
            for other, value in enumerate(row)
            if one < other and value is not None
        ]
        sentences.append(f"{what.capitalize()}: {', '.join(pairs) or 'none'}.")
    return f"{title}. {' '.join(sentences)}"


def _rows(runs: Sequence[str], found: Found) -> list[tuple[Value, ...]]:
    return [
        (what, one, other, run, value)
        for what, of_runs in found.items()
        for run, alike in zip(runs, of_runs, strict=True)
        for (one, other), value in alike.items()
    ]
