"""From the gradient in the weights to the gradient in the coefficients, in one pass over the bank.

Merged weights are linear in the coefficients, θ_g = Σ_k A_gk θ_k for each group g of tensors, so the derivative in
A_gk is the inner product of the gradient with θ_k over the columns of g. As in :mod:`lcsc.bank.combination` it is
taken as base + difference, in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.blocks import tiles
from lcsc.bank.device_bank import DeviceBank
from lcsc.errors import InputError
from lcsc.groups import Groups


def coefficient_gradient(
    bank: Bank, weights_gradient: NDArray[np.float64], groups: Groups | None = None
) -> NDArray[np.float64]:
    """The gradient in the coefficients, float64 [G, K], from that in the merged weights, ``weights_gradient`` [P].

    ``groups`` says which row of coefficients each tensor takes; without it G is 1. One pass over the bank, a tile
    in memory; safe to call from several threads. A bank on a device does it there. Raises :class:`InputError` for a
    wrong shape and for a gradient that is not finite.
    """
    slopes = _checked(bank, weights_gradient)
    if isinstance(bank, DeviceBank):
        return bank.coefficient_gradient(slopes, groups)
    gradient = np.zeros((1 if groups is None else groups.G, bank.K))
    for tile in tiles(bank, None if groups is None else groups.runs):
        base, differences = tile.differences(bank.base_row)
        for piece in tile.pieces:
            part, local = tile.within(piece), slopes[piece[0] : piece[1]]
            gradient[piece[2]] += differences[:, part] @ local + base[part] @ local
    return gradient


def projected(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gradient [..., K] on rows whose sum is held: each row less its mean."""
    moved: NDArray[np.float64] = gradient - gradient.mean(axis=-1, keepdims=True)
    return moved


def _checked(bank: Bank, weights_gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    slopes = np.ascontiguousarray(weights_gradient, np.float64)
    if slopes.shape != (bank.P,):
        raise InputError(f"gradient: found shape {list(slopes.shape)}, expected [{bank.P}] for the bank {bank.path}")
    if not np.isfinite(slopes).all():
        raise InputError("gradient: found NaN or infinite values, expected finite numbers")
    return slopes
