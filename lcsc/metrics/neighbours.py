"""Distances to the nearest real image: a guard against copies of training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data.values import to_float
from lcsc.metrics.frechet import Float64Array

# Images that are float64 at once, generated and real ones: sets of real images may be larger than memory.
ROWS, COLUMNS = 1024, 4096
Images = NDArray[np.uint8] | NDArray[np.floating[Any]]


def nearest_distances(images: Images, real: Images) -> Float64Array:
    """Euclidean distance in pixels from each of ``images`` [N, ...] to the nearest of ``real`` [M, ...], shape [N].

    The distance is that of the flattened arrays in [-1, 1]; bytes are put there as they are read.
    """
    nearest = np.full(len(images), np.inf)
    for _, columns in _blocks(real, COLUMNS):
        norms = np.square(columns).sum(axis=1)
        for start, block in _blocks(images, ROWS):
            squares = np.square(block).sum(axis=1)[:, None] + norms - 2.0 * block @ columns.T
            here = nearest[start : start + ROWS]
            np.minimum(here, squares.min(axis=1), out=here)
    distances: Float64Array = np.sqrt(np.clip(nearest, 0.0, None))
    return distances


def _blocks(images: Images, rows: int) -> Iterator[tuple[int, Float64Array]]:
    """The flattened images, float64 [n, ...], ``rows`` at a time, each block with the number of its first."""
    for start in range(0, len(images), rows):
        block = images[start : start + rows]
        values = to_float(block.astype(np.uint8, copy=False)) if block.dtype == np.uint8 else block
        yield start, values.reshape(len(values), -1).astype(np.float64)
