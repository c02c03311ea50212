"""What the interactive plots of a page show, as data that JSON can hold; a module for each kind of plot."""

from __future__ import annotations

import math

DIGITS = 5  # significant ones: more than a screen shows


def brief_number(value: float | None) -> float | None:
    """``value`` with :data:`DIGITS` significant digits, which keeps pages small; None where it is no number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")
