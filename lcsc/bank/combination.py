"""Linear combinations of the checkpoints of a bank: many candidates in one pass.

A candidate is Σ_k α_k θ_k (Liu et al. 2024), taken as (Σα) θ_base + Σ_k α_k (θ_k - θ_base) with differences
from the last checkpoint in float64: 5 to 50 times more exact than the plain sum in float32. Rows of
coefficients that pick one checkpoint give it bit for bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.errors import InputError
from lcsc.groups import Groups

# Columns worked on at once: K of them in float64 stay in the processor's cache. Results depend on it in the
# last bit, so it is a constant.
TILE = 8192

_local = threading.local()


@dataclass(frozen=True)
class _Row:
    """A group's coefficients of all candidates: factors [M, K], their sums [M, 1], (m, k) of pure picks."""

    factors: NDArray[np.float64]
    sums: NDArray[np.float64]
    picks: tuple[tuple[int, int], ...]


def combine(bank: Bank, coefficients: NDArray[np.float64], groups: Groups | None = None) -> NDArray[np.float32]:
    """The weights of M candidates, float32 [M, P], from coefficients float64 [M, G, K].

    ``groups`` says which row of coefficients each tensor takes; without it G is 1. One pass over the bank
    serves all candidates. The rounding of a matrix product depends on its shape: for the same bytes, give the
    same number of candidates each time. Sums too large for float32 become infinite. Safe to call from several
    threads. Raises :class:`InputError` for a wrong shape and for coefficients that are not finite.
    """
    values = _checked(bank, coefficients, groups)
    rows = [_row(values[:, group, :]) for group in range(values.shape[1])]
    runs = groups.runs if groups is not None else ((0, bank.P, 0),)
    pieces = group_pieces(runs, bank.P)
    merged = np.empty((len(values), bank.P), np.float32)
    piece = next(pieces, None)
    for columns, weights in bank.blocks():
        for start in range(columns.start, columns.stop, TILE):
            stop = min(start + TILE, columns.stop)
            local = weights[:, start - columns.start : stop - columns.start]
            base, differences = differences_of(local, bank.base_row)
            while piece is not None and piece[0] < stop:
                part = slice(piece[0] - start, piece[1] - start)
                target = merged[:, piece[0] : piece[1]]
                _combine_piece(rows[piece[2]], local[:, part], base[part], differences[:, part], target)
                piece = next(pieces, None)
    return merged


def _checked(bank: Bank, coefficients: NDArray[np.float64], groups: Groups | None) -> NDArray[np.float64]:
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


def _row(values: NDArray[np.float64]) -> _Row:
    picks = [
        (m, int(np.argmax(row == 1.0)))
        for m, row in enumerate(values)
        if np.count_nonzero(row) == 1 and np.any(row == 1.0)
    ]
    # A single row would go through another routine of the BLAS, which rounds otherwise: with a second one, a
    # candidate comes out alike whether it stands alone or among others.
    padded = values if len(values) > 1 else np.concatenate([values, np.zeros_like(values)])
    return _Row(np.ascontiguousarray(padded), padded.sum(axis=1, keepdims=True), tuple(picks))


def group_pieces(runs: Sequence[tuple[int, int, int]], parameters: int) -> Iterator[tuple[int, int, int]]:
    """The runs cut at every multiple of TILE."""
    for start, stop, row in runs:
        while start < stop:
            end = min(stop, (start // TILE + 1) * TILE, parameters)
            yield start, end, row
            start = end


def differences_of(weights: NDArray[np.float32], base_row: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Base [width] and differences from it [K, width] in this thread's reused float64 memory."""
    count, width = weights.shape
    memory = getattr(_local, "memory", None)
    if memory is None or memory.size < (count + 1) * TILE:
        memory = _local.memory = _aligned((count + 1) * TILE)
    work = memory[: (count + 1) * width].reshape(count + 1, width)
    base, differences = work[0], work[1:]
    np.copyto(base, weights[base_row])
    np.copyto(differences, weights)
    differences -= base
    return base, differences


def _aligned(size: int) -> NDArray[np.float64]:
    """Uninitialised float64 [size] that begins at a multiple of 64 bytes, as the BLAS likes it."""
    raw = np.empty(size * 8 + 64, np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + size * 8].view(np.float64)


def _combine_piece(
    row: _Row,
    weights: NDArray[np.float32],
    base: NDArray[np.float64],
    differences: NDArray[np.float64],
    target: NDArray[np.float32],
) -> None:
    total = row.factors @ differences
    total += row.sums * base
    with np.errstate(over="ignore"):
        target[:] = total[: len(target)]
    for m, k in row.picks:
        target[m] = weights[k]
