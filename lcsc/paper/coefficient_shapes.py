"""What coefficients are like, in numbers: how large, how many below 0, how concentrated and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Numbers of coefficients [G, K]: means over the G rows.

    ``l1``, ``l2``: norms (both 1 where one checkpoint has all; Σ|α| is 1 without negative ones); ``negative``: share of
    coefficients below 0; ``effective``: effective number of checkpoints 1 / Σ p² of p = |α| / Σ|α|, from 1 to K;
    ``centre``: where these p have their mean, 0 at the first and 1 at the last checkpoint's training step.
    """

    l1: float
    l2: float
    negative: float
    effective: float
    centre: float


WORDS = {
    "l1": "Σ|α|",
    "l2": "√Σα²",
    "negative": "share below 0",
    "effective": "effective number",
    "centre": "centre (0 first, 1 last)",
}
assert list(WORDS) == [field.name for field in fields(Shape)]


def shape_of(coefficients: Sequence[Sequence[float]], steps: Sequence[int]) -> Shape:
    """The numbers of ``coefficients`` [G, K] over checkpoints of ``steps``, of which there are two or more."""
    rows = np.asarray(coefficients, np.float64)
    sizes = np.abs(rows).sum(axis=1)
    shares = np.abs(rows) / sizes[:, None]
    places = (np.asarray(steps, np.float64) - steps[0]) / (steps[-1] - steps[0])
    return Shape(
        l1=float(sizes.mean()),
        l2=float(np.sqrt((rows**2).sum(axis=1)).mean()),
        negative=float((rows < 0).mean()),
        effective=float((1 / (shares**2).sum(axis=1)).mean()),
        centre=float((shares @ places).mean()),
    )


def from_uniform(coefficients: Sequence[Sequence[float]]) -> Floats:
    """The mean over the rows of coefficients [G, K], less the uniform average's 1/K: [K], summing to 0."""
    row = np.asarray(coefficients, np.float64).mean(axis=0)
    return np.asarray(row - 1 / len(row), np.float64)


def cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    """Of the angle between two vectors, in float64; None where one of them is 0."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else None
