"""Precision, recall, density and coverage: how generated features lie among real ones, by nearest neighbours.

Around each feature stands a closed ball that reaches to its k-th nearest neighbour of the same set. Then

- precision: share of generated features in a ball of a real one; what is made looks real
- recall: share of real features in a ball of a generated one; what is real is made
- density: mean number of balls of real features around a generated one, over k; about 1 for equal distributions,
  above 1 where images crowd at few real ones; unlike precision it forgives a lonely real outlier's wide ball
- coverage: share of real features whose own ball holds a generated one

(precision and recall: Kynkäänniemi et al. 2019, eq. 1 and 2; density and coverage: Naeem et al. 2020, eq. 1 and 2).
Recall and coverage grow with the number of generated features, so sets of one size are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lcsc.metrics.frechet import Float64Array

ROWS = 256  # squared distances are made in blocks [ROWS, M]
NEIGHBOURS = 5


@dataclass(frozen=True)
class Balls:
    """Features [N, D] with the squared distance [N] of each to the ``neighbours``-th nearest other one."""

    features: Float64Array
    squares: Float64Array
    neighbours: int


@dataclass(frozen=True)
class Support:
    """Precision, recall and coverage in [0, 1], density >= 0."""

    precision: float
    recall: float
    density: float
    coverage: float


def balls(features: ArrayLike, neighbours: int = NEIGHBOURS) -> Balls:
    """The balls of ``features`` [N, D], N > ``neighbours`` >= 1; memory for a block of rows, not N x N."""
    values = np.asarray(features, dtype=np.float64)
    if values.ndim != 2 or not 1 <= neighbours < len(values):
        raise ValueError(f"features: found shape {values.shape}, expected [N, D] with N > neighbours = {neighbours}")
    squares = np.empty(len(values))
    for start in range(0, len(values), ROWS):
        found = squared_distances(values[start : start + ROWS], values)
        found[np.arange(len(found)), np.arange(start, start + len(found))] = 0.0  # itself, which rounding hides
        squares[start : start + ROWS] = np.partition(found, neighbours, axis=1)[:, neighbours]
    return Balls(values, squares, neighbours)


def compare_supports(real: Balls, generated: Balls) -> Support:
    """How ``generated`` lies among ``real``; both of one dimension and with the same number of neighbours."""
    if real.features.shape[1] != generated.features.shape[1] or real.neighbours != generated.neighbours:
        raise ValueError(
            f"found features {real.features.shape} and {generated.features.shape} with {real.neighbours} and "
            f"{generated.neighbours} neighbours, expected one dimension and one number of neighbours"
        )
    precise, pairs = 0, 0
    covered, recalled = (np.zeros(len(real.features), dtype=bool) for _ in range(2))
    for start in range(0, len(generated.features), ROWS):
        found = squared_distances(generated.features[start : start + ROWS], real.features)
        within = found <= real.squares
        precise += int(within.any(axis=1).sum())
        pairs += int(within.sum())
        np.logical_or(covered, within.any(axis=0), out=covered)
        within = found <= generated.squares[start : start + ROWS, None]
        np.logical_or(recalled, within.any(axis=0), out=recalled)
    count = len(generated.features)
    density = pairs / (real.neighbours * count)
    return Support(precise / count, float(recalled.mean()), density, float(covered.mean()))


def squared_distances(rows: Float64Array, columns: Float64Array) -> Float64Array:
    """Squared Euclidean distances [N, M] between ``rows`` [N, D] and ``columns`` [M, D], float64, not below 0."""
    found = rows @ (-2.0 * columns.T)
    found += np.square(rows).sum(axis=1)[:, None]
    found += np.square(columns).sum(axis=1)
    return np.maximum(found, 0.0, out=found)
