"""The grid of values that images live on: bytes, and their places in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@overload
def to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]: ...
@overload
def to_float(images: torch.Tensor) -> torch.Tensor: ...
def to_float(images: NDArray[np.uint8] | torch.Tensor) -> NDArray[np.float32] | torch.Tensor:
    """Images of bytes v as float32 in [-1, 1]: (2 v - 255) / 255.

    A product with 1 / 255, since CUDA replaces a quotient by it: all devices and NumPy give the same values.
    """
    if isinstance(images, np.ndarray):
        return (2 * images.astype(np.float32) - np.float32(255)) * np.float32(1 / 255)
    return (2 * images.float() - 255) * (1 / 255)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1], clamped and rounded to the nearest byte (half to even), uint8."""
    import torch

    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def quantise(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] rounded to bytes and back: the values that :func:`to_float` gives, float32."""
    return to_float(((images.clamp(-1, 1) + 1) * 127.5).round())
