"""The kernel distance between features of any extractor: an unbiased estimate, without a Gaussian assumption.

The squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3 of features in D dimensions, in its
unbiased form (Bińkowski et al. 2018, eq. 4; Gretton et al. 2012, lemma 6),

    sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 mean_{i, j} k(x_i, y_j)

Unlike the Fréchet distance it has no bias in the number of images, so values at different numbers compare; it may
be below 0. It is called KID only with Inception-V3 features, and KD (extractor) with others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lcsc.metrics.frechet import Float64Array

ROWS = 128  # a block of kernel values [ROWS, M] stays in the processor's cache: three times as fast as 512
SUBSETS, SIZE = 10, 1000


@dataclass(frozen=True)
class KernelDistance:
    """Mean of the estimates of ``subsets`` subsets of ``size`` features from each side, and their spread.

    ``spread`` is the standard deviation over subsets, 0 for one: how much one subset's estimate scatters. The mean
    scatters less, but not by the root of ``subsets``, since subsets of few real images overlap.
    """

    mean: float
    spread: float
    subsets: int
    size: int


def kernel_distance(
    first: ArrayLike, second: ArrayLike, seed: np.random.SeedSequence, *, subsets: int = SUBSETS, size: int = SIZE
) -> KernelDistance:
    """Kernel distance between ``first`` [N, D] and ``second`` [M, D] over ``subsets`` drawn under ``seed``.

    A subset has ``size`` features of each side, or as many as the smaller side has. Subsets are pieces of random
    orders, so all features are used before one is used again.
    """
    one, two = _checked(first, second)
    count = min(size, len(one), len(two))
    if subsets < 1 or count < 2:
        raise ValueError(f"found {subsets} subsets of {count} features, expected at least 1 of at least 2")
    rows, others = (_subsets(len(side), count, child) for side, child in zip((one, two), _children(seed), strict=True))
    values = [unbiased_mmd(one[next(rows)], two[next(others)]) for _ in range(subsets)]
    spread = float(np.std(values, ddof=1)) if subsets > 1 else 0.0
    return KernelDistance(float(np.mean(values)), spread, subsets, count)


def unbiased_mmd(first: ArrayLike, second: ArrayLike) -> float:
    """The unbiased squared discrepancy of ``first`` [N, D] and ``second`` [M, D], N and M >= 2."""
    one, two = _checked(first, second)
    within = _mean_of_pairs(one) + _mean_of_pairs(two)
    return within - 2.0 * _kernel_sum(one, two) / (len(one) * len(two))


def _mean_of_pairs(values: Float64Array) -> float:
    """The kernel's mean over the pairs of two different rows of ``values``."""
    count, dimension = values.shape
    same = float(np.power(np.square(values).sum(axis=1) / dimension + 1.0, 3).sum())
    pairs: int = count * (count - 1)
    return (_kernel_sum(values, values) - same) / pairs


def _kernel_sum(rows: Float64Array, columns: Float64Array) -> float:
    """The kernel's sum over all pairs of a row of ``rows`` and one of ``columns``, in blocks of rows."""
    dimension, total = rows.shape[1], 0.0
    for start in range(0, len(rows), ROWS):
        inner = (rows[start : start + ROWS] / dimension) @ columns.T
        inner += 1.0
        total += float(np.vdot(np.square(inner), inner))
    return total


def _children(seed: np.random.SeedSequence) -> list[np.random.SeedSequence]:
    """Two children of ``seed``, always the same ones: ``spawn`` would count them in ``seed`` itself."""
    return [np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, side)) for side in range(2)]


def _subsets(count: int, size: int, seed: np.random.SeedSequence) -> Iterator[NDArray[np.intp]]:
    """Places of ``size`` of ``count`` features, for ever: pieces of one random order after another."""
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        order = rng.permutation(count)
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))


def _checked(first: ArrayLike, second: ArrayLike) -> tuple[Float64Array, Float64Array]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1] or min(len(one), len(two)) < 2:
        raise ValueError(f"features: found shapes {one.shape} and {two.shape}, expected [N >= 2, D] and [M >= 2, D]")
    return one, two
