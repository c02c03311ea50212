"""Numbers as a reader wants them: as many digits as mean something, the same in a column."""

from __future__ import annotations

import math
from collections.abc import Iterable


def decimals_for(values: Iterable[float], significant: int = 3) -> int:
    """Decimals that show the smallest non-zero of ``values`` with ``significant`` digits (at most 6)."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not sizes:
        return 1
    return min(6, max(0, significant - 1 - math.floor(math.log10(min(sizes)))))


def distance_decimals(means: Iterable[float]) -> int:
    """Decimals for all distances of a run: two are enough, unless the smallest needs more for two digits."""
    known = list(means)
    return max(min(2, decimals_for(known)), decimals_for(known, significant=2))


def fixed(value: float, decimals: int) -> str:
    """``value`` with ``decimals`` decimals, thousands apart and a true minus sign."""
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) != 0 else text.replace("-", "")


def short(value: float) -> str:
    """``value`` with three significant digits."""
    return fixed(value, decimals_for([value]))


def ratio(value: float) -> str:
    """A ratio such as ``0.57×``."""
    return f"{fixed(value, 2)}×"


def count(value: int) -> str:
    """A count such as ``1,500`` or, from a million on, ``3.0 million``."""
    return f"{value / 1e6:,.1f} million" if value >= 1_000_000 else f"{value:,}"


def duration(seconds: float) -> str:
    """Seconds as ``0.8 s``, ``42 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
