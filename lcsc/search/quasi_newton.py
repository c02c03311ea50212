"""What pairs of steps and changes of gradient tell about curvature: directions without and with bounds.

Pairs are (step s, change y) with s·y > 0, oldest first. Sums are taken by numpy's own pairwise addition, not by
BLAS, whose result may change with the threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lcsc.search.domain import Domain, Vector

Pairs = Sequence[tuple[Vector, Vector]]

CURVED = 1e-10
ROUNDS = 50
PRECISION = 1e-3


def inner(a: Vector, b: Vector) -> float:
    """The inner product, the same bits whatever the threads."""
    return float(np.sum(a * b))


def curved(step: Vector, change: Vector) -> bool:
    """Whether the pair keeps the approximate Hessian positive: the cosine between both is above 1e-10."""
    size = math.sqrt(inner(step, step)) * math.sqrt(inner(change, change))
    return size > 0 and inner(step, change) > CURVED * size


def newton_step(gradient: Vector, pairs: Pairs) -> Vector:
    """−H·gradient with the inverse Hessian H of at least one pair, [n].

    The two-loop recursion of L-BFGS, Nocedal & Wright, Numerical Optimization (2006), algorithm 7.4.
    """
    direction = -gradient
    weights = []
    for step, change in reversed(pairs):
        weight = inner(step, direction) / inner(step, change)
        direction = direction - weight * change
        weights.append(weight)
    step, change = pairs[-1]
    direction = direction * (inner(step, change) / inner(change, change))
    for (step, change), weight in zip(pairs, reversed(weights), strict=True):
        direction = direction + step * (weight - inner(change, direction) / inner(step, change))
    return direction


class Hessian:
    """The Hessian B of the same pairs, from B₀ = I · y·y / s·y of the newest.

    It is kept as B₀ + Σ b bᵀ − a aᵀ with b = y / √(y·s) and a = B s / √(s·B s), B being that of the pairs before
    (Nocedal & Wright, equation 6.19, unrolled).
    """

    def __init__(self, pairs: Pairs) -> None:
        step, change = pairs[-1]
        self.scale: float = inner(change, change) / inner(step, change)
        self._plus = np.zeros((0, step.size))
        self._minus = np.zeros((0, step.size))
        for step, change in pairs:
            image = self.times(step)
            plus = change / math.sqrt(inner(step, change))
            minus = image / math.sqrt(inner(step, image))
            self._plus, self._minus = np.vstack([self._plus, plus]), np.vstack([self._minus, minus])

    def times(self, vector: Vector) -> Vector:
        """B · vector, [n]."""
        result = self.scale * vector
        for rows, sign in ((self._plus, 1.0), (self._minus, -1.0)):
            weights = (rows * vector).sum(axis=1)
            result = result + sign * (weights[:, None] * rows).sum(axis=0)
        return result


def bounded_step(point: Vector, gradient: Vector, pairs: Pairs, domain: Domain, guess: Vector) -> Vector:
    """The step d [n] to where gradient·d + ½ d·B d is least on ``domain``, about; ``guess`` is a step to try first.

    Spectral projected gradients on the model, as in Schmidt, van den Berg, Friedlander & Murphy, Optimizing costly
    functions with simple constraints (AISTATS 2009): the model costs nothing beside the function. Its value at the
    end is below 0, that at d = 0, so that d leads downhill.
    """
    hessian = Hessian(pairs)
    step = domain.project(point + guess) - point
    slope = gradient + hessian.times(step)
    if inner(gradient + slope, step) >= 0:  # twice the model's value
        step, slope = np.zeros_like(point), gradient
    rate, steepest = 1 / hessian.scale, 0.0
    for _ in range(ROUNDS):
        way = domain.project(point + step - rate * slope) - (point + step)
        image = hessian.times(way)
        bend, fall = inner(way, image), -inner(slope, way)
        steepness = float(np.abs(way).max()) / rate
        steepest = max(steepest, steepness)
        if bend <= 0 or fall <= 0 or steepness <= PRECISION * steepest:
            break
        length = min(1.0, fall / bend)
        step, slope = step + length * way, slope + length * image
        rate = inner(way, way) / bend
    return step


def measure(point: Vector, gradient: Vector, domain: Domain) -> float:
    """How far ``point`` is from where no feasible way leads downhill: the largest change by a projected step."""
    return float(np.abs(domain.project(point - gradient) - point).max())
