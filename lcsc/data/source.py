"""What a source of images gives, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data import area
from lcsc.errors import InputError

CHANNELS = (1, 3)


@dataclass(frozen=True)
class Source:
    """Images that can be read piece by piece.

    ``read`` gives those of ascending rows, uint8 [n, C, H, W], of ``image_shape`` (C, H, W); ``labels`` are int64 [N],
    0 where there are none. ``classes`` names what the labels count, where the source has names for it.
    """

    image_shape: tuple[int, ...]
    labels: NDArray[np.int64]
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    classes: tuple[str, ...] | None = None


def in_memory(images: NDArray[np.uint8], labels: NDArray[np.int64], classes: tuple[str, ...] | None = None) -> Source:
    """Images [N, C, H, W] that are there, or mapped into memory."""
    return Source(images.shape[1:], labels, lambda rows: images[rows], classes)


def resized(source: Source, size: int | None) -> Source:
    """``source`` with images made smaller, if a ``size`` is given."""
    if size is None:
        return source
    channels, height, width = source.image_shape
    if min(height, width) < size:
        area.refuse(size, height, width)
    return replace(source, image_shape=(channels, size, size), read=lambda rows: area.smaller(source.read(rows), size))


def channels_first(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...] | None:
    """The order of axes that makes [N, C, H, W] of images of ``shape`` [N, H, W, C]; None where they are so already.

    Images [N, H, W] are grey ones. The axis of channels is the one of length 1 or 3; where both could be it, the first.
    Raises :class:`InputError` where the array, found in ``path``, holds no images of bytes.
    """
    if dtype == np.uint8 and 0 not in shape:
        if len(shape) == 3 or (len(shape) == 4 and shape[1] in CHANNELS):
            return None
        if len(shape) == 4 and shape[3] in CHANNELS:
            return (0, 3, 1, 2)
    raise InputError(
        f"{path}: images are {dtype} {list(shape)}, expected uint8 [N, C, H, W], [N, H, W, C] or [N, H, W] with "
        "1 or 3 channels; save them so"
    )


def checked_labels(path: Path, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Labels of ``count`` images as int64 [N]."""
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise InputError(f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected integers [{count}]")
    return labels.astype(np.int64)
