"""Making images smaller by averaging areas, in exact arithmetic: the same bytes on every machine.

Pixel i of a line of ``size`` pixels is the mean over [i L / size, (i + 1) L / size) of the line of L pixels that it
was, each pixel counting by the share of it that lies there. Shares are whole multiples of 1 / L, so sums are whole
numbers that float64 holds exactly, whatever the order of summation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError

NAME = "area"
# Images whose sums are float64 at once.
ROWS = 256


def smaller(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images uint8 [N, C, H, W] as [N, C, size, size], rounded to the nearest byte (half up).

    Of an image that is not square the largest square in the middle is taken. Raises :class:`InputError` where an
    image is smaller than ``size``.
    """
    side = min(images.shape[2:])
    if side < size:
        refuse(size, *images.shape[2:])
    images = _middle(images, side)
    if side == size:
        return images
    weights, area = _weights(side, size), side * side
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for start in range(0, len(images), ROWS):
        sums = weights @ images[start : start + ROWS].astype(np.float64) @ weights.T
        resized[start : start + ROWS] = np.floor_divide(2 * sums + area, 2 * area)
    return resized


def refuse(size: int, height: int, width: int, where: str = "data") -> NoReturn:
    """Say that images of ``height`` and ``width`` cannot be made ``size`` pixels wide."""
    raise InputError(
        f"{where}: size is {size}, found {width}×{height} pixels; images are made smaller only, lower size"
    )


def _middle(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((length - side) // 2 for length in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]


@lru_cache(maxsize=64)
def _weights(length: int, size: int) -> NDArray[np.float64]:
    """[size, length]: how much of a pixel lies in a part, in units of 1 / ``size`` of a pixel; rows sum to ``length``.

    On that scale pixel j covers [j size, (j + 1) size) and part i covers [i length, (i + 1) length).
    """
    parts, pixels = np.arange(size)[:, None] * length, np.arange(length) * size
    overlap = np.minimum(parts + length, pixels + size) - np.maximum(parts, pixels)
    return overlap.clip(0).astype(np.float64)
