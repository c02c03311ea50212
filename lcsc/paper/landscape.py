"""The plane through three weights, θ₀ + x(θ₁ − θ₀) + y(θ₂ − θ₀), and where other weights stand over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.search.averaging import ema_shaped, single

Floats = NDArray[np.float64]
Kind = Literal["raw", "ema"]
# Below this share of |u|²|v|² the squared area that u and v span is rounding: float32 weights have 24 bits.
_FLAT = 1e-12


def corners(steps: Sequence[int], kind: Kind, rate: float, at: Sequence[int]) -> Floats:
    """Coefficients [3, K] over the checkpoints of ``steps`` of a plane's corners θ₀, θ₁, θ₂.

    ``raw``: the checkpoints of the steps ``at``; ``ema``: EMA-shaped averages of the checkpoints up to each of these,
    at ``rate`` per training step. Raises :class:`InputError` for steps that have no checkpoint.
    """
    places = {step: place for place, step in enumerate(steps)}
    missing = [step for step in at if step not in places]
    if missing:
        raise InputError(
            f"landscape.steps: found {missing[0]}, expected three steps of the bank's {len(steps)} checkpoints from "
            f"{steps[0]} to {steps[-1]}; `lcsc collect --list` shows them"
        )
    rows = np.zeros((len(at), len(steps)))
    for row, step in zip(rows, at, strict=True):
        count = places[step] + 1
        row[:count] = single(count, count - 1)[0] if kind == "raw" else ema_shaped(steps[:count], rate)[0]
    return rows


def axis(low: float, high: float, points: int) -> Floats:
    """``points`` places from ``low`` to ``high``, [points], rounded so that 0 and 1 are these where they are met."""
    return np.round(np.linspace(low, high, points), 12)


def plane(rows: Floats, xs: Floats, ys: Floats) -> Floats:
    """Coefficients [Y, X, K] of (1 − x − y) θ₀ + x θ₁ + y θ₂ for the corners' ``rows`` [3, K]; each sums to 1."""
    x, y = np.meshgrid(xs, ys)
    shares = np.stack([1 - x - y, x, y], axis=-1)
    return np.asarray(shares @ rows, np.float64)


@dataclass(frozen=True)
class Projection:
    """The point of the plane that is nearest to some weights; ``residual``: the share of their distance from θ₀ that
    lies off the plane, 0 on it and 1 where nothing of it is along the plane."""

    x: float
    y: float
    residual: float


class Plane:
    """The plane through weights θ₀ along ``u`` = θ₁ − θ₀ and ``v`` = θ₂ − θ₀, all [P]."""

    def __init__(self, theta0: NDArray[Any], theta1: NDArray[Any], theta2: NDArray[Any]) -> None:
        self._origin = theta0.astype(np.float64)
        self._sides = theta1.astype(np.float64) - self._origin, theta2.astype(np.float64) - self._origin
        u, v = self._sides
        self._gram = np.array([[u @ u, u @ v], [u @ v, v @ v]])
        if not np.linalg.det(self._gram) > _FLAT * self._gram[0, 0] * self._gram[1, 1]:
            raise InputError("landscape.steps: found three weights on one line, which span no plane; take other steps")

    @property
    def lengths(self) -> tuple[float, float]:
        """|u| and |v|, in units of weights."""
        return float(np.sqrt(self._gram[0, 0])), float(np.sqrt(self._gram[1, 1]))

    @property
    def angle(self) -> float:
        """Between u and v, in degrees."""
        first, second = self.lengths
        return float(np.degrees(np.arccos(np.clip(self._gram[0, 1] / (first * second), -1, 1))))

    def project(self, theta: NDArray[Any]) -> Projection:
        """Where ``theta`` [P] stands over the plane: least squares by the 2 × 2 normal equations, in float64."""
        u, v = self._sides
        away = theta.astype(np.float64) - self._origin
        x, y = np.linalg.solve(self._gram, np.array([u @ away, v @ away])).tolist()
        whole = float(np.linalg.norm(away))
        off = float(np.linalg.norm(away - x * u - y * v))
        return Projection(x, y, min(1.0, off / whole) if whole else 0.0)
