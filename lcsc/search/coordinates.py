"""The numbers that an optimiser moves: the coefficients themselves, or steps along the principal axes of the bank.

Neighbouring checkpoints differ little, so coefficients pull alike and against each other, and an optimiser that
scales every number by itself, as Adam does, is only as good as its axes. The principal axes of the checkpoints'
differences, an orthonormal basis of the rows that sum to 0, are those along which the merged weights move
independently.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.search.base import Coefficients
from lcsc.search.domain import Domain, Rows, Vector, WholeSpace

# Axes along which the weights move less than this share of the most are left out (squared lengths).
NEGLIGIBLE = 1e-6


class Coordinates(Protocol):
    """Vectors [n] that stand for coefficients [G, K]."""

    @property
    def domain(self) -> Domain:
        """Where the vectors may lie."""

    @property
    def start(self) -> Vector:
        """The vector of the coefficients set out from."""

    def rows(self, point: Vector) -> Coefficients:
        """The coefficients [G, K] that ``point`` stands for."""

    def slope(self, gradient: Coefficients) -> Vector:
        """The gradient in the vector from that in the coefficients [G, K]."""


class OwnCoordinates:
    """The coefficients, flat."""

    def __init__(self, start: Coefficients, domain: Rows) -> None:
        self._domain, self._start = domain, np.array(start, dtype=np.float64).reshape(-1)

    @property
    def domain(self) -> Domain:
        """Rows that sum to 1, within the bound."""
        return self._domain

    @property
    def start(self) -> Vector:
        """The coefficients set out from."""
        return self._start

    def rows(self, point: Vector) -> Coefficients:
        """``point`` as rows."""
        rows: Coefficients = point.reshape(self._domain.shape)
        return rows

    def slope(self, gradient: Coefficients) -> Vector:
        """The gradient on rows whose sum is held."""
        slope: Vector = (gradient - gradient.mean(axis=1, keepdims=True)).reshape(-1)
        return slope


class PrincipalCoordinates:
    """Steps from the start along the principal axes of each group's differences, whose Gram matrices are ``gram``.

    Each axis is a row of unit length that sums to 0. Raises :class:`InputError` where ``gram`` [G, K, K] is missing
    or of another shape.
    """

    def __init__(self, start: Coefficients, gram: NDArray[np.float64] | None) -> None:
        groups, count = start.shape
        if gram is None or gram.shape != (groups, count, count):
            found = "none" if gram is None else f"shape {list(gram.shape)}"
            raise InputError(f"searches: axes principal: found {found}, expected Gram matrices [{groups}, {count}²]")
        self._origin = np.array(start, dtype=np.float64)
        self._bases = [principal_axes(matrix) for matrix in gram]
        self._bounds = np.cumsum([0, *(basis.shape[1] for basis in self._bases)])
        self._domain = WholeSpace()

    @property
    def domain(self) -> Domain:
        """All vectors: every one stands for rows that sum to 1."""
        return self._domain

    @property
    def start(self) -> Vector:
        """No step."""
        return np.zeros(int(self._bounds[-1]))

    def rows(self, point: Vector) -> Coefficients:
        """The start and the steps along the axes."""
        parts = (point[first:last] for first, last in zip(self._bounds, self._bounds[1:], strict=False))
        moved = [np.sum(basis * part, axis=1) for basis, part in zip(self._bases, parts, strict=True)]
        rows: Coefficients = self._origin + np.stack(moved)
        return rows

    def slope(self, gradient: Coefficients) -> Vector:
        """The gradient along each axis."""
        pairs = zip(self._bases, gradient, strict=True)
        return np.concatenate([np.sum(basis * row[:, None], axis=0) for basis, row in pairs])


def principal_axes(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orthonormal eigenvectors [K, r] of a centred Gram matrix [K, K] whose eigenvalues are not negligible.

    The largest component of each is positive, so that the signs do not depend on the library.
    """
    values, vectors = np.linalg.eigh(gram)
    axes = vectors[:, values > NEGLIGIBLE * max(float(values[-1]), 0.0)]
    axes = axes - axes.mean(axis=0, keepdims=True)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    signed: NDArray[np.float64] = axes * np.where(largest < 0, -1.0, 1.0)
    return signed
