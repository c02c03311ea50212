"""The exact gradient of the Fréchet distance in the features, in float64.

With the reference's covariance S_r = F F^T (see :mod:`lcsc.metrics.frechet`) and features f_i of mean m and
covariance S,

    dd/dm = 2 (m - m_r),    dd/dS = I - F (F^T S F)^(-1/2) F^T,
    dd/df_i = dd/dm / N + 2 / (N - 1) dd/dS (f_i - m)

(the derivative of the Bures distance, Bhatia, Jain & Lim 2019; back-propagating through FID: Mathiasen & Hvilshøj
2020, FastFID). The inverse root is taken on the numerical range of F^T S F: in a direction in which the features
have no spread at all the distance has a kink, and the part of the gradient along it is left out.

For N > D the gradient in a feature follows from that feature and the statistics, so it is made for a few images at
a time (:class:`Slopes`) and that of all of them never exists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lcsc.metrics.frechet import (
    Float64Array,
    Reference,
    check_dimension,
    feature_statistics,
    gaussian_distance,
)


@dataclass(frozen=True)
class Slopes:
    """The gradient of a distance in the features it was made of, for any rows of them.

    For N > D it is (f - ``centre``) ``matrix`` + ``shift``; for N <= D ``stored`` [N, D] holds the first term.
    """

    centre: Float64Array
    shift: Float64Array
    matrix: Float64Array
    stored: Float64Array | None = None

    @property
    def finite(self) -> bool:
        """Whether it is finite for every finite feature."""
        parts = (self.centre, self.shift, self.matrix if self.stored is None else self.stored)
        return all(bool(np.isfinite(part).all()) for part in parts)

    def rows(self, features: NDArray[np.floating[Any]], start: int = 0) -> Float64Array:
        """The gradient [n, D] in the n ``features`` of which the first has the number ``start``."""
        if self.stored is not None:
            return self.stored[start : start + len(features)] + self.shift
        found: Float64Array = (features - self.centre) @ self.matrix
        found += self.shift
        return found


def frechet_value_and_gradient(features: ArrayLike, reference: Reference) -> tuple[float, Float64Array]:
    """Fréchet distance between ``features`` [N, D] and ``reference``, and its gradient in them, float64 [N, D].

    The value is that of :func:`lcsc.metrics.frechet.frechet_distance` up to rounding. Both are NaN where a feature
    is not finite.
    """
    values = np.asarray(features)
    value, slopes = frechet_value_and_slopes(values, reference)
    return value, slopes.rows(values)


def frechet_value_and_slopes(features: ArrayLike, reference: Reference) -> tuple[float, Slopes]:
    """As :func:`frechet_value_and_gradient`, with the gradient as something that gives any rows of it."""
    values = np.asarray(features)
    check_dimension(values, reference)
    count, dimension = values.shape
    if not np.isfinite(values).all():
        nothing = np.full(dimension, math.nan)
        return math.nan, Slopes(nothing, nothing, np.full((dimension, dimension), math.nan))
    return _many(values, reference) if count > dimension else _few(values.astype(np.float64), reference)


def _shift(mean: Float64Array, count: int, reference: Reference) -> Float64Array:
    """What the mean's own term adds to the gradient in each feature, [D]."""
    shift: Float64Array = 2 / count * (mean - reference.statistics.mean)
    return shift


def _many(values: NDArray[np.floating[Any]], reference: Reference) -> tuple[float, Slopes]:
    """N > D: through the covariance."""
    statistics, factor = feature_statistics(values), reference.factor
    inner = reference.inner(statistics.covariance)
    roots, vectors = _roots(inner, len(inner))
    value = gaussian_distance(statistics.mean, float(np.trace(statistics.covariance)), float(roots.sum()), reference)
    kept = _range(roots, len(inner))
    # W W^T = F (F^T S F)^(-1/2) F^T
    half = factor @ (vectors[:, kept] / np.sqrt(roots[kept]))
    matrix = np.eye(len(statistics.covariance)) - half @ half.T
    matrix *= 2 / (len(values) - 1)
    return value, Slopes(statistics.mean, _shift(statistics.mean, len(values), reference), matrix)


def _few(values: Float64Array, reference: Reference) -> tuple[float, Slopes]:
    """N <= D: through the N x N Gram matrix, since the covariance is singular.

    The root's trace is the sum of the singular values of X F, X the centred features over sqrt(N - 1), and has the
    gradient (Y Y^T)^(-1/2) Y in Y = X F.
    """
    count, factor = len(values), reference.factor
    mean = values.mean(axis=0)
    scaled = (values - mean) / math.sqrt(count - 1)
    projected = reference.times_factor(scaled)
    roots, vectors = _roots(projected @ projected.T, min(count - 1, factor.shape[1]))
    value = gaussian_distance(mean, float(np.square(scaled).sum()), float(roots.sum()), reference)
    kept = _range(roots, count)
    unit = vectors[:, kept] @ (vectors[:, kept].T @ projected / roots[kept, None])
    gradient = scaled - unit @ factor.T
    gradient *= 2 / math.sqrt(count - 1)
    return value, Slopes(mean, _shift(mean, count, reference), np.zeros((0, 0)), gradient)


def _roots(symmetric: Float64Array, rank: int) -> tuple[Float64Array, Float64Array]:
    """Square roots [rank] of the largest eigenvalues of ``symmetric``, ascending, and the eigenvectors [., rank]."""
    if not rank:
        return np.zeros(0), np.zeros((len(symmetric), 0))
    values, vectors = np.linalg.eigh(symmetric)
    return np.sqrt(np.clip(values[-rank:], 0.0, None)), vectors[:, -rank:]


def _range(roots: Float64Array, size: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which eigenvalues (squares of ``roots``) of a matrix of ``size`` rows are more than rounding noise."""
    top = roots[-1] if len(roots) else 0.0
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.square(roots) > np.square(top) * size * np.finfo(float).eps
    return kept
