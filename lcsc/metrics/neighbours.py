"""Distances to the nearest real image: a guard against copies of training images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS = 1024


def nearest_distances(images: NDArray[np.float32], real: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean distance in pixels from each of ``images`` [N, ...] to the nearest of ``real`` [M, ...], shape [N].

    Both are in [-1, 1]; the distance is that of the flattened arrays.
    """
    rows = images.reshape(len(images), -1).astype(np.float64)
    columns = real.reshape(len(real), -1).astype(np.float64)
    norms = np.square(columns).sum(axis=1)
    nearest = np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        block = rows[start : start + ROWS]
        squares = np.square(block).sum(axis=1)[:, None] + norms - 2.0 * block @ columns.T
        nearest[start : start + ROWS] = np.sqrt(np.clip(squares.min(axis=1), 0.0, None))
    return nearest
