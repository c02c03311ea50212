"""Images that stand in one array: NumPy's ``.npz`` and ``.npy`` files, and HDF5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lcsc.data.npz_files import mapped, mapped_npy, names_in
from lcsc.data.source import Source, channels_first, checked_labels
from lcsc.errors import InputError
from lcsc.hdf5_files import own_dataset
from lcsc.refusals import read_or_refuse

# What arrays are called where the configuration does not say: our names, then those of OpenAI's files.
IMAGES, LABELS = ("images", "arr_0"), ("labels", "arr_1")
# Images of a file in HDF5 that are in memory at once.
ROWS = 1024
Rows = NDArray[np.int64]


def npz(settings: Mapping[str, Any]) -> Source:
    """An ``.npz`` file with images and, if there are any, labels [N]; or an ``.npy`` file of images alone."""
    path = Path(settings["path"])
    what = "a NumPy file of images"
    if path.suffix == ".npy":
        images = mapped_npy(path, what)
        return _source(path, images.shape, images.dtype, None, lambda rows: images[rows])
    names = names_in(path, what)
    images = mapped(path, _named(path, names, settings.get("images_key"), IMAGES), what)
    key = _labels_key(path, names, settings.get("labels_key"))
    labels = mapped(path, key, what) if key else None
    return _source(path, images.shape, images.dtype, labels, lambda rows: images[rows])


def hdf5(settings: Mapping[str, Any]) -> Source:
    """A file in HDF5 with a data set of images and, if there are any, labels [N]; read in blocks."""
    path = Path(settings["path"])
    what = "an HDF5 file of images"

    def inspect() -> tuple[str, tuple[int, ...], np.dtype[Any], NDArray[Any] | None]:
        with h5py.File(path, "r") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            name = _named(path, names, settings.get("images_key"), IMAGES)
            key = _labels_key(path, names, settings.get("labels_key"))
            images = own_dataset(file, name)
            labels = _labels(path, own_dataset(file, key), images.shape[0]) if key else None
            return name, images.shape, images.dtype, labels

    name, shape, dtype, labels = read_or_refuse(path, inspect, what=what)
    return _source(
        path, shape, dtype, labels, lambda rows: read_or_refuse(path, lambda: _rows(path, name, rows), what=what)
    )


def _labels(path: Path, stored: h5py.Dataset, count: int) -> NDArray[Any]:
    """Labels, read once their shape is known to be that of ``count`` images."""
    if stored.shape != (count,):
        raise InputError(f"{path}: labels are {stored.dtype} {list(stored.shape)}, expected integers [{count}]")
    return np.asarray(stored[()])


def _rows(path: Path, name: str, rows: Rows) -> NDArray[np.uint8]:
    """The images of ascending ``rows``, by blocks of neighbouring ones: h5py is slow at single ones."""
    found = []
    with h5py.File(path, "r") as file:
        for start in range(int(rows[0]), int(rows[-1]) + 1, ROWS):
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + ROWS)] - start
            if len(here):
                found.append(own_dataset(file, name)[start : start + ROWS][here])
    return np.concatenate(found)


def _source(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    labels: NDArray[Any] | None,
    read: Callable[[Rows], NDArray[np.uint8]],
) -> Source:
    order = channels_first(path, shape, dtype)
    numbers = np.zeros(shape[0], np.int64) if labels is None else checked_labels(path, labels, shape[0])

    def ordered(rows: Rows) -> NDArray[np.uint8]:
        images = read(rows)
        images = images[:, None] if len(shape) == 3 else images
        return images if order is None else images.transpose(order)

    image_shape = (1, *shape[1:]) if len(shape) == 3 else tuple(shape[axis] for axis in (order or range(4))[1:])
    return Source(image_shape, numbers, ordered)


def _named(path: Path, names: Sequence[str], key: str | None, usual: Sequence[str]) -> str:
    for name in (key,) if key else usual:
        if name in names:
            return name
    wanted = repr(key) if key else " or ".join(map(repr, usual))
    raise InputError(f"{path}: array {wanted} is missing, found {sorted(names)}; add it, or name it in images_key")


def _labels_key(path: Path, names: Sequence[str], key: str | None) -> str | None:
    if key is not None and key not in names:
        raise InputError(f"{path}: array {key!r} is missing, found {sorted(names)}; correct labels_key")
    return key or next((name for name in LABELS if name in names), None)
