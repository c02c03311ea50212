"""A distance as reports have it: over blocks of noise, with its spread, and extrapolated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A distance in each block of ``report`` noise, their mean, and the standard deviation of one block's distance.

    ``spread`` of a method in the final evaluation is the larger of two estimates: see :func:`one_block_spread`.
    """

    values: tuple[float, ...]
    mean: float
    spread: float
    limit: Limit | None = None


@dataclass(frozen=True)
class Limit:
    """The distance extrapolated to infinitely many images, and that of ``images``, half as many as in a block."""

    mean: float
    spread: float
    images: int
    half: float


def one_block_spread(blocks: float, jackknife: float | None) -> float:
    """The standard deviation of one block's distance, from that over ``blocks`` and from the jackknife of the first.

    Both estimate the same. That over a few blocks has few degrees of freedom and is often far too small by chance;
    the jackknife errs upwards if at all. The larger one promises no more than both allow.
    """
    return max(blocks, jackknife or 0.0)
