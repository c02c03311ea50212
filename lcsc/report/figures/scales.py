"""Logarithmic axes with plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 4.0  # numbers whose largest is more than this many times the smallest are shown on a logarithmic axis
FINE, COARSE = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0)
FEW_LINES, MOST_LINES = 4, 9
_STEPS = (COARSE, FINE, *(tuple(1 + step * place for place in range(round(9 / step))) for step in (1, 0.5, 0.2, 0.05)))
MANY = 30.0  # from here on between the largest and the smallest, fewer ticks are enough


def is_wide(values: Iterable[float]) -> bool:
    """Whether ``values`` are positive and so far apart that a linear axis would hide the small ones."""
    known = list(values)
    return bool(known) and min(known) > 0 and max(known) > FAR * min(known)


def set_log(axes: Axes, which: str, low: float, high: float, *, coarse: bool = False) -> None:
    """Make the axis ``which`` ("x" or "y") logarithmic from ``low`` to ``high``; plain numbers, few if ``coarse``."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis.set_major_locator(LogLocator(subs=COARSE if coarse or high > MANY * low else FINE, numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def lines(low: float, high: float) -> list[float]:
    """Plain numbers between ``low`` and ``high`` > 0 for contour lines: the coarsest that are a few."""
    found: list[float] = []
    for steps in _STEPS:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        values = [float(f"{step * 10.0**decade:.6g}") for decade in decades for step in steps]
        found = [value for value in values if low < value < high]
        if len(found) >= FEW_LINES:
            break
    return found[:: math.ceil(len(found) / MOST_LINES)] if found else []
