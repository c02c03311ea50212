"""Coefficients as a pass over a bank takes them: checked, with their sums and those that pick a single checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcsc.bank.bank import Bank
from lcsc.errors import InputError
from lcsc.groups import Groups


@dataclass(frozen=True)
class Row:
    """A group's coefficients of all candidates: factors [M, K], their sums [M, 1], (m, k) of pure picks."""

    factors: NDArray[np.float64]
    sums: NDArray[np.float64]
    picks: tuple[tuple[int, int], ...]


def row_of(values: NDArray[np.float64], least: int) -> Row:
    """The coefficients ``values`` [M, K] of one group, with rows of zeros where there are not ``least`` of them."""
    picks = [
        (m, int(np.argmax(row == 1.0)))
        for m, row in enumerate(values)
        if np.count_nonzero(row) == 1 and np.any(row == 1.0)
    ]
    padded = np.zeros((max(least, len(values)), values.shape[1]))
    padded[: len(values)] = values
    return Row(padded, padded.sum(axis=1, keepdims=True), tuple(picks))


def checked(bank: Bank, coefficients: NDArray[np.float64], groups: Groups | None) -> NDArray[np.float64]:
    """``coefficients`` as float64 [M, G, K]; refuses those that do not fit ``bank`` and ``groups``, or not finite."""
    values = np.asarray(coefficients, np.float64)
    expected = (1 if groups is None else groups.G, bank.K)
    if values.ndim != 3 or values.shape[1:] != expected:
        shape, (rows, count) = list(values.shape), expected
        raise InputError(
            f"coefficients: found shape {shape}, expected [candidates, {rows} rows, {count} checkpoints] "
            f"for the bank {bank.path}"
        )
    if not np.isfinite(values).all():
        raise InputError("coefficients: found NaN or infinite values, expected finite numbers")
    return values
