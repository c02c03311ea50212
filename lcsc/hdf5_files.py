"""Arrays of HDF5 files from elsewhere: only what stands in the file itself is read, and no more than is there."""

from __future__ import annotations

import math

import h5py

from lcsc.bounds import check_unpacked
from lcsc.errors import InputError

# A chunk is unpacked whole, whatever is read of it.
MOST_CHUNK = 256 << 20


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset ``name`` of ``file``, all of whose bytes stand in that file.

    Links to elsewhere, external storage and virtual datasets would read any file that the user can read; a declared
    shape with next to nothing stored would take any amount of memory. Raises :class:`InputError` for these, and
    :class:`ValueError` where there is no such dataset.
    """
    where = f"{file.filename}: dataset {name!r}"
    _check_links(file, name, where)
    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ValueError(f"{name!r} is no array")
    if found.is_virtual or found.external:
        kind = "virtual" if found.is_virtual else "stored in other files"
        raise InputError(f"{where}: is {kind}, expected its numbers in this file; copy them into it")
    chunk = math.prod(found.chunks or ()) * found.dtype.itemsize
    if chunk > MOST_CHUNK:
        raise InputError(f"{where}: has chunks of {chunk:,} bytes, expected at most {MOST_CHUNK >> 20} MiB")
    check_unpacked(where, math.prod(found.shape) * found.dtype.itemsize, found.id.get_storage_size())
    return found


def _check_links(file: h5py.File, name: str, where: str) -> None:
    parts = name.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise InputError(f"{where}: is a link, expected the array itself; copy it into this file")
