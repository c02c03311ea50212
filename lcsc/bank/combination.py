"""Linear combinations of the checkpoints of a bank: many candidates in one pass.

A candidate is Σ_k α_k θ_k (Liu et al. 2024), taken as (Σα) θ_base + Σ_k α_k (θ_k - θ_base) with differences
from the last checkpoint in float64: 5 to 50 times more exact than the plain sum in float32. Rows of
coefficients that pick one checkpoint give it bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.blocks import Block, Run, runs_of, runs_within, tiles_of
from lcsc.bank.coefficient_rows import Row, checked, row_of
from lcsc.bank.device_bank import DeviceBank
from lcsc.groups import Groups

if TYPE_CHECKING:
    from lcsc.bank.fused import Product

WORTH = 1 << 26  # values of a bank from which on compiling takes less time than it saves


def combine(
    bank: Bank, coefficients: NDArray[np.float64], groups: Groups | None = None, threads: int = 1
) -> NDArray[np.float32]:
    """The weights of M candidates, float32 [M, P], from coefficients float64 [M, G, K].

    ``groups`` says which row of coefficients each tensor takes; without it G is 1. One pass over the bank
    serves all candidates; ``threads`` share it, which changes no byte. The rounding of a matrix product depends on its
    shape: for the same bytes, give the same number of candidates each time. Sums too large for float32 become
    infinite. Safe to call from several threads. A bank on a device is combined there. Raises :class:`InputError` for
    a wrong shape and for coefficients that are not finite.
    """
    if isinstance(bank, DeviceBank):
        found: NDArray[np.float32] = bank.combined(coefficients, groups).cpu().numpy()
        return found
    values = checked(bank, coefficients, groups)
    # A single row would go through another routine of the BLAS, which rounds otherwise: with a second one, a
    # candidate comes out alike whether it stands alone or among others.
    rows = [row_of(values[:, group, :], 2) for group in range(values.shape[1])]
    runs = runs_of(bank, None if groups is None else groups.runs)
    merged = np.empty((len(values), bank.P), np.float32)
    product = _product(bank.K, len(values)) if bank.K * bank.P >= WORTH else None

    def work(block: Block) -> None:
        if product is not None:
            _multiply(block, runs, bank.base_row, rows, merged, product)
            return
        for tile in tiles_of(block, runs):
            base, differences = tile.differences(bank.base_row)
            for piece in tile.pieces:
                part = tile.within(piece)
                _combine_piece(rows[piece[2]], tile.weights[:, part], base[part], differences[:, part], merged, piece)

    bank.each(work, threads)
    return merged


def combined(
    bank: Bank, coefficients: NDArray[np.float64], groups: Groups | None = None
) -> NDArray[np.float32] | torch.Tensor:
    """As :func:`combine`, but what a bank on a device makes stays there, a tensor."""
    return bank.combined(coefficients, groups) if isinstance(bank, DeviceBank) else combine(bank, coefficients, groups)


def _combine_piece(
    row: Row,
    weights: NDArray[np.float32],
    base: NDArray[np.float64],
    differences: NDArray[np.float64],
    merged: NDArray[np.float32],
    piece: Run,
) -> None:
    """The columns of ``piece``, whose ``base`` [width] and ``differences`` from it [K, width] were formed."""
    target = merged[:, piece[0] : piece[1]]
    total = row.factors @ differences
    total += row.sums * base
    with np.errstate(over="ignore"):
        target[:] = total[: len(target)]
    for m, k in row.picks:
        target[m] = weights[k]


def _multiply(
    block: Block,
    runs: Sequence[Run],
    base_row: int,
    rows: Sequence[Row],
    merged: NDArray[np.float32],
    product: Product,
) -> None:
    """All columns of ``block`` by the compiled product, but single ones: they take another way through the BLAS."""
    for piece in runs_within(block.columns, runs):
        start, stop, group = piece
        row, part = rows[group], block.part(slice(start, stop))
        if stop - start == 1:
            base = part.weights[base_row].astype(np.float64)
            _combine_piece(row, part.weights, base, part.weights - base, merged, piece)
            continue
        product(part.memory, part.offset, stop - start, base_row, row.factors, row.sums[:, 0], merged, start)
        for m, k in row.picks:
            merged[m, start:stop] = part.weights[k]


@cache
def _product(checkpoints: int, candidates: int) -> Product | None:
    """The compiled product, the same bytes in less time; None without Numba and where the bytes are not the same."""
    try:
        from lcsc.bank.fused import kernel
    except ImportError:
        return None
    return kernel(checkpoints, candidates) if candidates else None
