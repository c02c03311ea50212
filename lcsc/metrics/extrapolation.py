"""The Fréchet distance at two numbers of images, and what it tends to with infinitely many.

The distance of n images is biased upwards by about c / n, with c depending on the generator, so that two generators may
change places with n (Chong & Forsyth 2020, who fit a line in 1 / n through distances at several n). Here the line goes
through the distance of all N features and the mean over its two halves of n = N / 2,

    limit = (N d_N - n d_n) / (N - n).

It takes the bias away that the generated images cause, to first order; that of few real images stays. For n below the
dimension D the bias is not linear in 1 / n, and the limit still lies above the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lcsc.metrics.frechet import Reference, frechet_distance

FEWEST = 4  # images: halves of two


@dataclass(frozen=True)
class Extrapolation:
    """``half``: mean distance of the halves, of ``images`` each; ``limit``: that of infinitely many, may be below 0."""

    images: int
    half: float
    limit: float


def extrapolate(features: ArrayLike, reference: Reference, whole: float) -> Extrapolation:
    """From ``features`` [N, D], N >= 4, whose distance to ``reference`` is ``whole``."""
    values = np.asarray(features)
    if len(values) < FEWEST:
        raise ValueError(f"features: found {len(values)}, expected {FEWEST} or more, two in each half")
    count, size = len(values), len(values) // 2
    half = float(np.mean([frechet_distance(part, reference) for part in (values[:size], values[size : 2 * size])]))
    return Extrapolation(size, half, (count * whole - size * half) / (count - size))
