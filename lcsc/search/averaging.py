"""Coefficients that are written down and not searched: last, single, uniform, windows and EMA-shaped ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lcsc.errors import InputError
from lcsc.search.base import Coefficients


def single(count: int, index: int) -> Coefficients:
    """Checkpoint ``index`` of ``count`` alone, shape [1, K]."""
    row = np.zeros((1, count))
    row[0, index] = 1.0
    return row


def uniform(count: int) -> Coefficients:
    """The mean of all checkpoints, shape [1, K]."""
    return np.full((1, count), 1.0 / count)


def window(count: int, size: int) -> Coefficients:
    """The mean of the last ``size`` of ``count`` checkpoints, shape [1, K]."""
    if not 1 <= size <= count:
        raise InputError(f"uniform window: found {size} checkpoints, expected 1 to {count} as the bank has")
    row = np.zeros((1, count))
    row[0, count - size :] = 1.0 / size
    return row


def ema_shaped(steps: Sequence[int], rate: float) -> Coefficients:
    """Coefficients proportional to ``rate`` to the power of the training steps since, shape [1, K].

    ``rate`` is per optimisation step, as in an EMA updated at every step, whatever the checkpoints' spacing.
    """
    ages = np.asarray(steps[-1], dtype=np.float64) - np.asarray(steps, dtype=np.float64)
    logs = ages * np.log(rate)
    weights: Coefficients = np.exp(logs - logs.max())
    row: Coefficients = (weights / weights.sum())[None]
    return row


def suited_rates(steps: Sequence[int], kept: Sequence[float]) -> list[float]:
    """Rates per training step whose averages keep each share of ``kept`` from one checkpoint to the next.

    The middle distance between ``steps`` counts: rates that suit checkpoints 25 steps apart give the last one alone
    where they are thousands of steps apart.
    """
    spacing = float(np.median(np.diff(np.asarray(steps, dtype=np.float64)))) if len(steps) > 1 else 1.0
    # Three digits of what is lost at each step, so that people can read the rates.
    return [1.0 - float(f"{1.0 - share ** (1.0 / spacing):.3g}") for share in kept]


def rate_words(rate: float) -> str:
    """A rate for people, with the digits that tell rates of :func:`suited_rates` apart: 0.9999999 is not 1."""
    return f"{rate:.10g}"


def ema_coefficients(count: int, rate: float) -> Coefficients:
    """The coefficients over ``count`` checkpoints, oldest first, that an EMA of those checkpoints has, shape [1, K].

    The recursion e_0 = θ_0, e_k = rate · e_(k-1) + (1 - rate) · θ_k, unrolled.
    """
    row = (1.0 - rate) * rate ** np.arange(count - 1, -1, -1, dtype=np.float64)
    row[0] = rate ** (count - 1)
    return row[None]
