"""The product of coefficients and differences, compiled: formed, multiplied and rounded while in the caches.

The steps are those of the BLAS that :mod:`lcsc.bank.combination` uses otherwise, in its order: a chain of fused
multiply-adds over the checkpoints for each column. So the bytes are the same; :func:`kernel` makes sure of that on
this machine, for this number of checkpoints and candidates, before it gives the compiled product away (OpenBLAS takes
another order from 257 checkpoints on, and for the last of an odd number of candidates). Needs Numba.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank.registers import ROWS, WIDE, multiply, subtract

# Some versions of Numba have types and some have none.
_numba: Any = importlib.import_module("numba")
# Columns of one candidate that stay in the first cache while the checkpoints pass; float64 numbers behind it.
_ONE, _NUMBERS = 4096, 98304
# Widths on which the BLAS takes different ways.
_WIDTHS = (2, 3, 8, 61, 600, 1100)

Product = Callable[
    [NDArray[np.float32], int, int, int, NDArray[np.float64], NDArray[np.float64], NDArray[Any], int], None
]


def _rounded_once(context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    number = _numba.types.float64
    return number(number, number, number), generate


_fma: Any = importlib.import_module("numba.extending").intrinsic(_rounded_once)


def _one(
    weights: Any, first: int, width: int, base_row: int, factors: Any, sums: Any, merged: Any, column: int
) -> None:
    """Columns ``first`` on of ``weights`` [K, ...] into ``merged`` [1, ...] from ``column`` on."""
    count, alpha = weights.shape[0], factors[0]
    base, total = np.empty(_ONE), np.empty(_ONE)
    for start in range(0, width, _ONE):
        n, at = min(_ONE, width - start), first + start
        row = weights[base_row, at : at + n]
        for j in range(n):
            base[j] = row[j]
            total[j] = 0.0
        k = 0
        while k + 8 <= count:  # eight at a time, so that the memory always has several lines to fetch
            a0, a1, a2, a3 = alpha[k], alpha[k + 1], alpha[k + 2], alpha[k + 3]
            a4, a5, a6, a7 = alpha[k + 4], alpha[k + 5], alpha[k + 6], alpha[k + 7]
            w0, w1 = weights[k, at : at + n], weights[k + 1, at : at + n]
            w2, w3 = weights[k + 2, at : at + n], weights[k + 3, at : at + n]
            w4, w5 = weights[k + 4, at : at + n], weights[k + 5, at : at + n]
            w6, w7 = weights[k + 6, at : at + n], weights[k + 7, at : at + n]
            for j in range(n):
                b = base[j]
                t = _fma(a3, w3[j] - b, _fma(a2, w2[j] - b, _fma(a1, w1[j] - b, _fma(a0, w0[j] - b, total[j]))))
                total[j] = _fma(a7, w7[j] - b, _fma(a6, w6[j] - b, _fma(a5, w5[j] - b, _fma(a4, w4[j] - b, t))))
            k += 8
        while k < count:
            row = weights[k, at : at + n]
            for j in range(n):
                total[j] = _fma(alpha[k], row[j] - base[j], total[j])
            k += 1
        into = merged[0, column + start : column + start + n]
        for j in range(n):
            into[j] = total[j] + sums[0] * base[j]


def _many(
    weights: Any, first: int, width: int, base_row: int, factors: Any, sums: Any, merged: Any, column: int
) -> None:
    """Columns ``first`` on of ``weights`` [K, ...] into ``merged`` [M, ...] from ``column`` on."""
    count, candidates = weights.shape[0], merged.shape[0]
    groups = (candidates + ROWS - 1) // ROWS
    # Differences and sums stay in the second and third cache, a panel of WIDE columns and the factors in the first.
    stretch = max(WIDE, min(1024, _NUMBERS // (count + groups * ROWS) // WIDE * WIDE))
    base, panels = np.zeros(stretch), np.zeros(stretch * count)
    numbers, totals = np.zeros(groups * count * ROWS), np.empty(groups * ROWS * stretch)
    for m in range(candidates):
        for k in range(count):
            numbers[(m // ROWS * count + k) * ROWS + m % ROWS] = factors[m, k]
    for start in range(0, width, stretch):
        n, at = min(stretch, width - start), first + start
        whole = n // WIDE * WIDE
        row = weights[base_row, at : at + n]
        for j in range(n):
            base[j] = row[j]
        for k in range(count):
            row = weights[k, at : at + n]
            for j in range(0, whole, WIDE):
                subtract(row, j, base, panels, j * count + k * WIDE)
            for j in range(whole, n):
                panels[whole * count + k * WIDE + j - whole] = row[j] - base[j]
        for j in range(0, n, WIDE):
            for group in range(groups):
                into = group * ROWS * stretch + j
                multiply(panels, j * count, numbers, group * count * ROWS, count, totals, into, stretch)
        for m in range(candidates):
            into_row, total = merged[m, column + start : column + start + n], totals[m * stretch : m * stretch + n]
            for j in range(n):
                into_row[j] = total[j] + sums[m] * base[j]


def _compiled(function: Callable[..., None]) -> Product:
    """Compiled anew in each process, seconds that only large banks are worth: nothing is kept on disk."""
    product: Product = _numba.njit(nogil=True, error_model="numpy")(function)
    return product


_PRODUCTS = {True: _compiled(_one), False: _compiled(_many)}


@cache
def kernel(checkpoints: int, candidates: int) -> Product | None:
    """The product for K checkpoints and M candidates; None where its bytes are not the BLAS's."""
    if candidates % 2 and candidates > 1:  # known to differ
        return None
    product, rng = _PRODUCTS[candidates == 1], np.random.default_rng(0)
    for width in _WIDTHS:
        weights = rng.standard_normal((checkpoints, width), dtype=np.float32)
        factors = rng.standard_normal((max(candidates, 2), checkpoints))
        base = weights[0].astype(np.float64)
        expected = factors @ (weights - base)
        expected += factors.sum(axis=1, keepdims=True) * base
        for number in (np.float64, np.float32):
            found = np.empty((candidates, width), number)
            product(weights, 0, width, 0, factors, factors.sum(axis=1), found, 0)
            if found.tobytes() != expected[:candidates].astype(number).tobytes():
                return None
    return product
