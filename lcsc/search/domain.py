"""Where an optimiser's points may lie: everywhere, or on rows that sum to 1 with bounded coefficients."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.search.base import project

Vector = NDArray[np.float64]

ROUNDS = 64
CLOSE = 1e-14


class Domain(Protocol):
    """What an optimiser over flat vectors [n] must know about the convex set that its points lie in."""

    def project(self, point: Vector) -> Vector:
        """The nearest point of the set."""

    def tangent(self, vector: Vector) -> Vector:
        """The part of ``vector`` along which the set's equations stay true."""

    def contains(self, point: Vector) -> bool:
        """Whether ``point`` keeps the bounds (equations are not looked at)."""

    def reach(self, point: Vector, direction: Vector) -> float:
        """The longest step from ``point`` along ``direction`` that keeps the bounds, infinite without any."""


class WholeSpace:
    """No equations and no bounds."""

    def project(self, point: Vector) -> Vector:
        """The point itself."""
        return point

    def tangent(self, vector: Vector) -> Vector:
        """The vector itself."""
        return vector

    def contains(self, point: Vector) -> bool:
        """Always."""
        return True

    def reach(self, point: Vector, direction: Vector) -> float:
        """Infinite."""
        return math.inf


class Rows:
    """Coefficients [G, K], flat: each row sums to 1 and, with a ``bound``, no |α| is above it.

    The projection is the orthogonal one. A row that breaks the bound is clipped, and what clipping took from its
    sum is shared equally among the coefficients still inside, until both hold: clip(α − λ) with the one λ for
    which the row sums to 1, found by Newton's steps kept in a bracket.
    """

    def __init__(self, groups: int, count: int, bound: float | None = None) -> None:
        if bound is not None and not (math.isfinite(bound) and bound * count > 1):
            raise InputError(
                f"searches: bound {bound} leaves no coefficients, {count} of them cannot sum to 1; raise it above "
                f"{1 / count:.4g}, or use null for none"
            )
        self.shape, self.bound = (groups, count), bound

    def project(self, point: Vector) -> Vector:
        """The nearest point of the set."""
        rows = project(point.reshape(self.shape))
        if self.bound is not None:
            broken = np.abs(rows).max(axis=1) > self.bound
            if broken.any():
                rows[broken] = _clipped_to_sum(rows[broken], self.bound)
        return rows.reshape(-1)

    def tangent(self, vector: Vector) -> Vector:
        """Each row without its mean, so that sums do not change along it."""
        rows = vector.reshape(self.shape)
        for _ in range(2):  # the second pass takes away what the first one rounded
            rows = rows - rows.mean(axis=1, keepdims=True)
        return rows.reshape(-1)

    def contains(self, point: Vector) -> bool:
        """Whether no coefficient is beyond the bound."""
        return self.bound is None or bool(np.abs(point).max() <= self.bound)

    def reach(self, point: Vector, direction: Vector) -> float:
        """The step at which the first coefficient meets its bound."""
        moving = direction != 0
        if self.bound is None or not moving.any():
            return math.inf
        room = self.bound - np.sign(direction[moving]) * point[moving]
        with np.errstate(over="ignore"):  # a direction too small to ever meet the bound
            return max(0.0, float((room / np.abs(direction[moving])).min()))


def _clipped_to_sum(rows: Vector, bound: float) -> Vector:
    """clip(rows − λ, −bound, bound) with the λ of each row for which it sums to 1; the sum falls as λ grows."""
    low = rows.min(axis=1, keepdims=True) - bound
    high = rows.max(axis=1, keepdims=True) + bound
    shift = np.zeros_like(low)
    for _ in range(ROUNDS):
        inside = np.clip(rows - shift, -bound, bound)
        excess = inside.sum(axis=1, keepdims=True) - 1
        if np.abs(excess).max() <= CLOSE:
            break
        low, high = np.where(excess > 0, shift, low), np.where(excess > 0, high, shift)
        free = (np.abs(inside) < bound).sum(axis=1, keepdims=True)
        newton = shift + excess / np.maximum(free, 1)
        shift = np.where((free > 0) & (low < newton) & (newton < high), newton, (low + high) / 2)
    rows = np.clip(rows - shift, -bound, bound)
    for _ in range(2):  # what rounding left, shared among the coefficients inside
        free = np.abs(rows) < bound
        share = (1 - rows.sum(axis=1, keepdims=True)) / np.maximum(free.sum(axis=1, keepdims=True), 1)
        rows = np.clip(np.where(free, rows + share, rows), -bound, bound)
    return rows
