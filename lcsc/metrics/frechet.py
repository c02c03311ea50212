"""The Fréchet distance between Gaussians fitted to features, in float64 throughout.

For features with mean m and covariance S against a reference with mean m_r and covariance S_r = F F^T,

    d = |m - m_r|^2 + tr S + tr S_r - 2 tr (F^T S F)^(1/2)

(Dowson & Landau 1982; Heusel et al. 2017, who call it FID with Inception-V3 features). F^T S F is symmetric, so
its root's trace is the sum of the square roots of its eigenvalues. The factor F depends on the reference alone
and is cached with it. NumPy alone is used here: SciPy brings a thread pool of its own beside NumPy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64Array = NDArray[np.float64]
# Rows of features that are float64 at once: many images must not need more memory than their features. Sums depend
# on it in the last bit, so it is a constant.
ROWS = 4096
# Features from which on a triangular factor is multiplied in this many strips, each without the rows that are 0: of
# many features that saves a third of the time, of few it costs some.
LARGE, STRIPS = 512, 12


@dataclass(frozen=True)
class Statistics:
    """Mean [D] and unbiased covariance [D, D] of ``count`` features, float64."""

    mean: Float64Array
    covariance: Float64Array
    count: int

    @property
    def dimension(self) -> int:
        """D, the number of features of an image."""
        return int(self.mean.shape[0])


@dataclass(frozen=True)
class Reference:
    """Statistics of real images with a factor F [D, R] of their covariance, F F^T = S_r."""

    statistics: Statistics
    factor: Float64Array

    @classmethod
    def of(cls, statistics: Statistics) -> Reference:
        """The reference of ``statistics``, its factor computed."""
        return cls(statistics, covariance_factor(statistics.covariance))

    @cached_property
    def _strips(self) -> int:
        """Columns that :meth:`times_factor` makes at once: all of them, unless F is large and lower triangular."""
        rows, columns = self.factor.shape
        large = rows == columns and rows >= LARGE
        triangular = large and not np.triu(self.factor, 1).any()
        return int(-(-rows // STRIPS) if triangular else max(columns, 1))

    def times_factor(self, values: Float64Array) -> Float64Array:
        """``values`` [N, D] times F, [N, R]; without most of the zeros above the diagonal where F is Cholesky's."""
        step, columns = self._strips, self.factor.shape[1]
        if step >= columns:
            return np.asarray(values @ self.factor)
        product = np.empty((len(values), columns))
        for start in range(0, columns, step):
            strip = slice(start, start + step)
            np.matmul(values[:, start:], self.factor[start:, strip], out=product[:, strip])
        return product

    def inner(self, covariance: Float64Array) -> Float64Array:
        """The lower triangle of F^T S F [R, R] for a ``covariance`` S [D, D]; what stands above it means nothing.

        With F lower triangular, too, rows and columns from ``start`` on need nothing of S and F before it.
        """
        if self._strips >= self.factor.shape[1]:
            inner = self.factor.T @ covariance @ self.factor
            return np.asarray((inner + inner.T) / 2)
        inner = np.zeros_like(self.factor)
        for start in range(0, len(inner), self._strips):
            strip = slice(start, start + self._strips)
            half = covariance[start:, start:] @ self.factor[start:, strip]
            inner[start:, strip] = self.factor[start:, start:].T @ half
        return inner


def feature_statistics(features: ArrayLike) -> Statistics:
    """Statistics of ``features`` [N, D], N >= 2."""
    values = np.asarray(features)
    if values.ndim != 2 or values.shape[0] < 2:
        raise ValueError(f"features: found shape {values.shape}, expected [N, D] with N >= 2")
    count, dimension = values.shape
    mean, scatter = np.zeros(dimension), np.zeros((dimension, dimension))
    for rows in _blocks(values):
        mean += rows.sum(axis=0)
    mean /= count
    for rows in _blocks(values):
        centred = rows - mean
        scatter += centred.T @ centred
    return Statistics(mean, scatter / (count - 1), count)


def _blocks(values: NDArray[np.floating[Any]]) -> Iterator[Float64Array]:
    for start in range(0, len(values), ROWS):
        yield values[start : start + ROWS].astype(np.float64, copy=False)


def covariance_factor(covariance: Float64Array) -> Float64Array:
    """A factor F [D, R] with F F^T = ``covariance`` [D, D]: Cholesky's, or the eigenvectors' where it is singular."""
    values = np.linalg.eigvalsh(covariance)
    threshold = values[-1] * covariance.shape[0] * np.finfo(np.float64).eps
    if values[0] > threshold:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > threshold
    return np.ascontiguousarray(vectors[:, kept] * np.sqrt(values[kept]))


def frechet_distance(features: ArrayLike, reference: Reference) -> float:
    """Fréchet distance between ``features`` [N, D] and ``reference``; NaN where a feature is not finite.

    For N <= D the covariance is singular; the N x N Gram matrix of the centred features has the same non-zero
    eigenvalues, without the rounding noise of the null space.
    """
    values = np.asarray(features)
    check_dimension(values, reference)
    count, dimension = values.shape
    if count > dimension:
        statistics = feature_statistics(values)
        # A feature that is not finite leaves no mean that is; looking at all of them would cost a pass over them.
        return statistics_distance(statistics, reference) if np.isfinite(statistics.mean).all() else math.nan
    if not np.isfinite(values).all():
        return math.nan
    values = values.astype(np.float64, copy=False)
    mean = values.mean(axis=0)
    scaled = (values - mean) / math.sqrt(count - 1)
    projected = reference.times_factor(scaled)
    rank = min(count - 1, reference.factor.shape[1])
    cross = _root_trace(projected @ projected.T, rank)
    return gaussian_distance(mean, float(np.square(scaled).sum()), cross, reference)


def statistics_distance(statistics: Statistics, reference: Reference) -> float:
    """Fréchet distance between ``statistics`` and ``reference`` from the covariance; exact for N > D."""
    if not np.isfinite(statistics.covariance).all():
        return math.nan
    cross = _root_trace(reference.inner(statistics.covariance), reference.factor.shape[1])
    return gaussian_distance(statistics.mean, float(np.trace(statistics.covariance)), cross, reference)


def check_dimension(values: NDArray[np.floating[Any]], reference: Reference) -> None:
    """Refuse features that are not [N >= 2, D] with the reference's D."""
    expected = reference.statistics.dimension
    if values.ndim != 2 or values.shape[1] != expected or values.shape[0] < 2:
        raise ValueError(f"features: found shape {values.shape}, expected [N >= 2, {expected}] as the reference has")


def _root_trace(symmetric: Float64Array, rank: int) -> float:
    values = np.linalg.eigvalsh(symmetric)[-rank:] if rank else np.zeros(0)
    return float(np.sqrt(np.clip(values, 0.0, None)).sum())


def gaussian_distance(mean: Float64Array, trace: float, cross: float, reference: Reference) -> float:
    """The distance from a mean [D], the covariance's trace and ``cross`` = tr (F^T S F)^(1/2); never below 0."""
    shift = float(np.square(mean - reference.statistics.mean).sum())
    return max(shift + trace + float(np.trace(reference.statistics.covariance)) - 2.0 * cross, 0.0)
