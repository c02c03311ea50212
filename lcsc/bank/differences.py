"""Checkpoints as float16 differences from the checkpoint before: half the space, without half precision's errors.

A difference is stored as float16 in units of a power of two that is chosen for each block of columns, so that the
block's largest one comes near 2^15. Neither can anything overflow then, nor do small differences (a low learning
rate over few steps gives 1e-6) fall below float16's normal numbers. With d = θ - base, a value comes back within
2^-11 |d| + 2^-39 max |d| over its block, beside the rounding to float32 (2^-24 of the weight and 3 times that of d).
A weight that moved by less than 1/8,192 of itself comes back exactly only where 2^-39 max |d| lies below that
rounding: small weights in a block with large movements do not. Bases are checkpoints as they are read again, so that
errors do not add up from one to the
next. The 16 bits are handled as uint16, which HDF5 moves unconverted.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank.memory import COLUMNS
from lcsc.errors import InputError

# Columns that share a unit: the width of an HDF5 chunk (lcsc.bank.segments).
BLOCK = COLUMNS
# The largest difference of a block lies below 2^15 units; float16 ends at 65,504. Units are normal float32 numbers.
_TOP, _SMALLEST = 15, -126


def encode(vector: NDArray[np.float32], base: NDArray[np.float32]) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """``vector`` [P] as differences from ``base`` [P]: float16 bits, uint16 [P], and units, float32 [P / BLOCK].

    Both are finite. Raises :class:`InputError` where a difference is too large for float32.
    """
    bits = np.empty(vector.size, np.uint16)
    units = np.ones(-(-vector.size // BLOCK), np.float32)
    for block in range(units.size):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        with np.errstate(over="ignore"):
            difference = vector[part] - base[part]
        largest = float(np.max(np.abs(difference), initial=0.0))
        if not math.isfinite(largest):
            raise InputError(
                "weights: found a difference beyond float32's largest number, expected weights below 1e38; "
                "store float32 instead of differences"
            )
        units[block] = _unit(largest)
        scaled = torch.from_numpy(difference * (1 / units[block]))
        bits[part] = scaled.to(torch.float16).numpy().view(np.uint16)
    return bits, units


def _unit(largest: float) -> float:
    if largest == 0:
        return 1.0
    return math.ldexp(1.0, max(math.frexp(largest)[1] - _TOP, _SMALLEST))


def decode(
    bits: NDArray[np.uint16],
    units: NDArray[np.float32],
    base: NDArray[np.float32],
    out: NDArray[np.float32],
    start: int,
) -> None:
    """Put base + difference into ``out`` [width], for columns ``start`` on of a row whose ``units`` are all given.

    ``bits`` and ``base`` [width] are of the same columns. Each value is rounded once, so that the result does not
    depend on how the columns are cut.
    """
    np.copyto(out, base)
    # PyTorch converts from float16 five times faster than NumPy does.
    halves, target = torch.from_numpy(bits.view(np.float16)), torch.from_numpy(out)
    done = 0
    while done < bits.size:
        block = (start + done) // BLOCK
        stop = min(bits.size, (block + 1) * BLOCK - start)
        target[done:stop].add_(halves[done:stop].to(torch.float32), alpha=float(units[block]))
        done = stop
