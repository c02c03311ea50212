"""A figure of coefficients where they were not searched: found in the rows, used in the columns, a map an extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from lcsc.paper.figure import HEADER, set_titles
from lcsc.paper.made import Made
from lcsc.paper.maps import draw_map
from lcsc.paper.measures import between, ratio
from lcsc.paper.points import ROLES, Point, Role, Series, X, column_of, read_points, rows_of, series_of
from lcsc.paper.records import Records
from lcsc.report.drawing import Data, Drawing
from lcsc.report.numbers import short
from lcsc.report.style import new_figure
from lcsc.report.svg import png_bytes, svg_text

BASE = "ema"
COLOURS = "PuOr_r"  # two hues that colour-blind readers tell apart, light where nothing is gained


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``transfer``; ``spec`` is its section of the configuration."""
    points = read_points(spec["points"], records)
    methods = [spec["searched"], *(source["method"] for source in spec["sources"] if source["method"] is not None)]
    series = series_of(points, [BASE, *dict.fromkeys(methods)])
    return Made(*draw(name, spec, points, series), partial(between, series))


def cells_of(
    spec: Mapping[str, Any], series: Mapping[tuple[str, Role], Series], role: Role
) -> list[list[float | None]]:
    """The median over the seeds of distance over the best EMA's, [sources][points]; None where nothing was measured."""
    places = [point["x"] for point in spec["points"]]
    return [
        [_cell(spec["searched"] if source["x"] == x else source["method"], x, series, role) for x in places]
        for source in spec["sources"]
    ]


def _cell(method: str | None, x: X, series: Mapping[tuple[str, Role], Series], role: Role) -> float | None:
    found = series.get((method or "", role))
    if found is None or x not in found.xs:
        return None
    return median(ratio(found, x, series[BASE, role], x).values)


def draw(
    name: str, spec: Mapping[str, Any], points: Sequence[Point], series: Mapping[tuple[str, Role], Series]
) -> tuple[Drawing, bytes]:
    """The figure as SVG with its numbers, and as PNG."""
    from matplotlib.colors import LogNorm

    found = {role: cells_of(spec, series, role) for role in ROLES}
    known = [value for cells in found.values() for line in cells for value in line if value]
    far = max([1.5, *known, *(1 / value for value in known)])
    rows, columns = ([_word(place["x"]) for place in spec[key]] for key in ("sources", "points"))
    figure = new_figure(width=8.4, height=1.1 + 0.5 * len(rows))
    panels = figure.subplots(1, len(ROLES), sharey=True)
    for role, axes in zip(ROLES[::-1], panels, strict=True):
        draw_map(axes, found[role], rows, columns, short, norm=LogNorm(1 / far, far), colours=COLOURS)
        set_titles(axes, column_of(points[0].evaluations[0], role))
        axes.set_xlabel(spec["x"])
    panels[0].set_ylabel(spec["found"])
    alt = _alt(spec, found)
    seeds = len(points[0].evaluations)
    drawing = Drawing(
        name=name,
        title=spec["title"],
        alt=alt,
        caption=(
            f"{spec['title']}. Distance to held-out images over that of the best EMA there: medians of {seeds} "
            "training seeds. Where row and column agree, the coefficients were searched."
        ),
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(rows_of(series))),
    )
    return drawing, png_bytes(figure)


def _word(x: X) -> str:
    return x if isinstance(x, str) else f"{x:,g}"


def _alt(spec: Mapping[str, Any], found: Mapping[Role, Sequence[Sequence[float | None]]]) -> str:
    parts = []
    for role, cells in found.items():
        for source, line in zip(spec["sources"], cells, strict=True):
            used = [
                f"{short(value)} at {_word(point['x'])}"
                for point, value in zip(spec["points"], line, strict=True)
                if value is not None
            ]
            parts.append(f"Found at {_word(source['x'])} ({role}): {', '.join(used)}.")
    return f"{spec['title']}: distance over the best EMA's, by {spec['x']}. {' '.join(parts)}"
