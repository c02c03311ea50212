"""Small tables as maps of colour with their numbers in the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lcsc.report.style import INK, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

Cells = Sequence[Sequence[float | None]]  # [rows][columns]
EMPTY = "#f3f4f6"
BALANCE = 0.215  # the relative luminance on which dark ink and white have the same contrast
NAME_WIDTH = 24


def draw_map(
    axes: Axes,
    cells: Cells,
    rows: Sequence[str],
    columns: Sequence[str],
    words: Callable[[float], str],
    *,
    norm: Normalize,
    colours: str,
) -> None:
    """Draw ``cells`` with ``rows`` from top to bottom and ``columns`` from left to right; None leaves one empty.

    ``norm`` and ``colours`` are matplotlib's scale and map of colour.
    """
    from matplotlib import colormaps

    palette = colormaps[colours].with_extremes(bad=EMPTY)
    values = _masked(cells)
    axes.imshow(values, norm=norm, cmap=palette, aspect="auto")
    for row, line in enumerate(cells):
        for column, value in enumerate(line):
            if value is not None:
                ink = INK if _lightness(palette(float(norm(value)))) > BALANCE else "white"
                axes.text(column, row, words(value), ha="center", va="center", fontsize=8.5, color=ink)
    axes.set_xticks(range(len(columns)), [fit(column, NAME_WIDTH) for column in columns])
    axes.set_yticks(range(len(rows)), [fit(row, NAME_WIDTH) for row in rows])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _masked(cells: Cells) -> Any:
    import numpy as np

    return np.ma.masked_invalid([[np.nan if value is None else value for value in line] for line in cells])


def _lightness(colour: Sequence[float]) -> float:
    """Relative luminance of an RGB colour, as the accessibility guidelines (WCAG 2) weigh its linear parts."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
