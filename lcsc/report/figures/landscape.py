"""A figure of landscapes: a row of panels for each plane, a panel for each extractor, contours of log distance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.layout import landscape_figure
from lcsc.protocol import distance_name
from lcsc.report.drawing import Data, Drawing, Plot, Value
from lcsc.report.figures.scales import lines
from lcsc.report.numbers import fixed, short
from lcsc.report.plots import planes
from lcsc.report.style import INK, MUTED, Look, fit, looks, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm

Record = Mapping[str, Any]
HEADER = ("run", "landscape", "what", "extractor", "x", "y", "off the plane", "distance")
MAP = "cividis"  # even in lightness, and the same to colour-blind readers (Nuñez et al. 2018)
BANDS = 24  # of colour
WORDS_WIDTH, WORDS_LINE = 112, 11  # characters of the line above a row of panels, and points from one to the next


def draw_alike(records: Sequence[Record]) -> list[Drawing]:
    """A figure for all landscapes of a run with the same extractors and number of images, in order."""
    alike: dict[Any, list[Record]] = {}
    for record in records:
        alike.setdefault(_kind(record), []).append(record)
    title = "Distance around the checkpoints"
    drawn = (draw(landscape_figure(place), title, group) for place, group in enumerate(alike.values(), 1))
    return [replace(drawing, png=png) for drawing, png in drawn]


def draw(name: str, title: str, records: Sequence[Record]) -> tuple[Drawing, bytes]:
    """The figure of the landscapes ``records`` as SVG with its numbers, and as PNG."""
    _require_alike(records)
    columns = records[0]["columns"][::-1]  # as in other figures, first the extractor that nothing searched
    look = looks([mark["name"] for record in records for mark in record["marks"]])
    figure = new_figure(width=8.4, height=1.7 + 3.9 * len(records))
    panels = figure.subplots(len(records), len(columns), squeeze=False, sharex="row", sharey="row")
    for place, column in enumerate(columns):
        norm = _norm([_values(record, column["key"]) for record in records])
        for record, axes in zip(records, panels[:, place], strict=True):
            filled = _contours(axes, record, _values(record, column["key"]), norm)
            _corners(axes, record)
            _marks(axes, record, look)
            _words(axes, record, first=place == 0)
        _colour_bar(figure, filled, panels[:, place].tolist(), norm, column)
    handles = _legend(records, look)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    alt = f"{title}. " + " ".join(_sentence(record, columns) for record in records)
    spacing = " or ".join(dict.fromkeys(f"{_spacing(record):.3g}" for record in records))
    drawing = Drawing(
        name=name,
        title=title,
        alt=alt,
        caption=(
            f"{title}. Distance to held-out images over θ₀ + x(θ₁ − θ₀) + y(θ₂ − θ₀); grid spacing {spacing}, "
            f"{records[0]['images']:,} images a point. Marks stand at the nearest point of the plane, hollow "
            "ones beyond the frame; the percentages are the shares of their distance from θ₀ that lie off it."
        ),
        svg=svg_text(figure, name, alt),
        plot=_plot(records, columns, look),
        data=Data(HEADER, tuple(row for record in records for row in _rows(record))),
    )
    return drawing, png_bytes(figure)


def _plot(records: Sequence[Record], columns: Sequence[Mapping[str, Any]], look: Mapping[str, Look]) -> Plot:
    levels = {}
    for column in columns:
        norm = _norm([_values(record, column["key"]) for record in records])
        levels[column["key"]] = lines(float(norm.vmin or 0), float(norm.vmax or 0))
    shown = [(column["key"], _distance(column), _role(column)) for column in columns]
    return planes.plot([(_title(record), record) for record in records], shown, look, levels)


def _role(column: Mapping[str, Any]) -> str:
    return "searched" if column["searched"] else "seen by no search"


def _require_alike(records: Sequence[Record]) -> None:
    found = {_kind(record) for record in records}
    if len(found) != 1:
        words = "; ".join(f"{', '.join(keys)} of {images:,} images" for keys, images in sorted(found))
        raise InputError(f"figures: found landscapes of {words}; expected the same extractors and images in a figure")


def _kind(record: Record) -> tuple[tuple[str, ...], int]:
    return tuple(column["key"] for column in record["columns"]), record["images"]


def _values(record: Record, key: str) -> NDArray[np.float64]:
    """The distances [Y, X], NaN where there are none."""
    return np.array(record["distances"][key], dtype=np.float64)


def _norm(values: Sequence[NDArray[np.float64]]) -> LogNorm:
    """One scale of colour for all panels of an extractor."""
    from matplotlib.colors import LogNorm

    known = np.concatenate([each[np.isfinite(each) & (each > 0)] for each in values])
    if not known.size:
        raise InputError("figures: found no distance in a landscape, expected numbers above 0; see its job's log")
    return LogNorm(float(known.min()) * 0.999, float(known.max()) * 1.001)  # so that rounding leaves no gap


def _contours(axes: Axes, record: Record, values: NDArray[np.float64], norm: LogNorm) -> Any:
    shown = np.ma.masked_invalid(np.where(values > 0, values, np.nan))
    bands = np.geomspace(float(norm.vmin or 0), float(norm.vmax or 0), BANDS + 1)
    filled = axes.contourf(record["xs"], record["ys"], shown, levels=bands, norm=norm, cmap=MAP)
    levels = lines(float(shown.min()), float(shown.max())) if shown.count() else []
    if levels:
        drawn = axes.contour(record["xs"], record["ys"], shown, levels=levels, colors="white", linewidths=0.7)
        axes.clabel(drawn, fmt=lambda value: f"{value:,g}", fontsize=7)
    return filled


def _corners(axes: Axes, record: Record) -> None:
    from matplotlib.patheffects import withStroke

    for (x, y), corner in zip(((0, 0), (1, 0), (0, 1)), record["corners"], strict=True):
        axes.plot(x, y, marker="o", markersize=5, color="white", markeredgecolor=INK, linestyle="none", zorder=4)
        axes.annotate(
            f"{corner['step']:,}", (x, y), xytext=(0, -11), textcoords="offset points", fontsize=7.5, ha="center",
            color=INK, zorder=7, path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip


def _marks(axes: Axes, record: Record, look: Mapping[str, Any]) -> None:
    """Each mark at its projection, or hollow at the frame where that is beyond it."""
    low, high = record["xs"][0], record["xs"][-1]
    bottom, top = record["ys"][0], record["ys"][-1]
    for mark in record["marks"]:
        x, y = float(np.clip(mark["x"], low, high)), float(np.clip(mark["y"], bottom, top))
        beyond = (x, y) != (mark["x"], mark["y"])
        style = look[mark["name"]]
        face, edge = ("white", style.colour) if beyond else (style.colour, "white")
        axes.plot(
            x, y, marker=style.marker, markersize=8.5, markerfacecolor=face, markeredgecolor=edge,
            markeredgewidth=1.6 if beyond else 1.1, linestyle="none", clip_on=False, zorder=6,
        )  # fmt: skip


def _words(axes: Axes, record: Record, *, first: bool) -> None:
    axes.grid(visible=False)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)
    axes.set_xlabel(f"x (grid spacing {_spacing(record):.3g})")
    if not first:
        return
    axes.set_ylabel(f"y (grid spacing {_spacing(record):.3g})")
    marks = ", ".join(f"{mark['name']} {mark['residual']:.0%}" for mark in record["marks"])
    words = textwrap.wrap(f"{record['angle']:.0f}° between the axes; off the plane: {marks}", WORDS_WIDTH)
    axes.set_title(_title(record), pad=7 + WORDS_LINE * len(words))
    axes.annotate(
        "\n".join(words), (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=8,
        color=MUTED, annotation_clip=False,
    ).set_in_layout(False)  # fmt: skip


def _colour_bar(figure: Any, filled: Any, panels: list[Axes], norm: LogNorm, column: Mapping[str, Any]) -> None:
    bar = figure.colorbar(filled, ax=panels, location="bottom", shrink=0.9, aspect=30)
    ticks = lines(float(norm.vmin or 0), float(norm.vmax or 0))
    bar.set_ticks(ticks, labels=[f"{tick:,g}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label(f"{_distance(column)} to held-out images ({_role(column)})")


def _legend(records: Sequence[Record], look: Mapping[str, Any]) -> list[Any]:
    from matplotlib.lines import Line2D

    labels: dict[str, list[str]] = {}
    for record in records:
        for mark in record["marks"]:
            labels.setdefault(mark["name"], []).append(mark["label"])
    found = [
        Line2D([], [], marker="o", color="white", markeredgecolor=INK, linestyle="none", label="θ₀, θ₁, θ₂ (step)")
    ]
    for name, known in labels.items():
        label = known[0] if len(set(known)) == 1 else known[0].split(" (")[0]
        style = look[name]
        found.append(Line2D([], [], marker=style.marker, color=style.colour, linestyle="none", label=fit(label)))
    return found


def _title(record: Record) -> str:
    what = f"Averages ({record['rate']:g})" if record["checkpoints"] == "ema" else "Checkpoints"
    steps = ", ".join(f"{corner['step']:,}" for corner in record["corners"])
    return f"{what} to {steps}" if record["checkpoints"] == "ema" else f"{what} {steps}"


def _spacing(record: Record) -> float:
    return float(record["xs"][1] - record["xs"][0])


def _distance(column: Mapping[str, Any]) -> str:
    return distance_name(column["extractor"], column.get("measure"))


def _sentence(record: Record, columns: Sequence[Mapping[str, Any]]) -> str:
    """What a reader who cannot see a row of panels is told."""
    parts = []
    for column in columns:
        values = _values(record, column["key"])
        if np.isfinite(values).any():
            y, x = np.unravel_index(int(np.nanargmin(values)), values.shape)
            best = f"{short(float(values[y, x]))} at x {fixed(record['xs'][x], 2)}, y {fixed(record['ys'][y], 2)}"
            parts.append(f"lowest {_distance(column)} {best}")
    marks = [
        f"{m['label']} at x {fixed(m['x'], 2)}, y {fixed(m['y'], 2)}, {m['residual']:.0%} off it"
        for m in record["marks"]
    ]
    return f"{_title(record)}: {'; '.join(parts)}; {'; '.join(marks)}."


def _rows(record: Record) -> list[tuple[Value, ...]]:
    """The numbers behind a row of panels; the distance of a mark is that of its own weights, off the plane."""
    about = (record["run"], record["name"])
    found: list[tuple[Value, ...]] = []
    for column in record["columns"]:
        values = record["distances"][column["key"]]
        found += [
            (*about, "plane", column["extractor"], x, y, 0.0, value)
            for y, row in zip(record["ys"], values, strict=True)
            for x, value in zip(record["xs"], row, strict=True)
        ]
        found += [
            (*about, m["name"], column["extractor"], m["x"], m["y"], m["residual"], m["distances"][column["key"]])
            for m in record["marks"]
        ]
    return found
