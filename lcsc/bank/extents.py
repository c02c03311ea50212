"""Where the rows of an HDF5 dataset stand in its file, so that they can be read without HDF5's lock and copies."""

from __future__ import annotations

import os
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


class Extents:
    """A dataset [rows, P] of an open file; rows are read into memory straight from the system.

    HDF5 itself reads where the values do not stand as they are: filters, chunks of several rows, or some missing.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._width, self._offsets = _layout(dataset)
        self._handle = dataset.file.id.get_vfd_handle() if self._offsets is not None else -1

    def read(self, rows: slice, start: int, out: NDArray[Any]) -> None:
        """Columns from ``start`` on of ``rows`` into ``out`` [rows, width], whose rows are contiguous.

        Raises OSError where the file ends early or cannot be read.
        """
        width = out.shape[1]
        if self._offsets is None:
            out[:] = self._dataset[rows, start : start + width]
            return
        for row, line in zip(range(rows.start, rows.stop), out, strict=True):
            for place, offset, count in self._pieces(row, start, width):
                _read(self._handle, line[place : place + count], offset)

    def _pieces(self, row: int, start: int, width: int) -> list[tuple[int, int, int]]:
        """(place in the row asked for, byte in the file, number of values) of all pieces of columns."""
        assert self._offsets is not None
        size, stop, found = self._dataset.dtype.itemsize, start + width, []
        column = start
        while column < stop:
            chunk, within = divmod(column, self._width)
            count = min(self._width - within, stop - column)
            found.append((column - start, int(self._offsets[row, chunk]) + within * size, count))
            column += count
        return found


def _layout(dataset: h5py.Dataset) -> tuple[int, NDArray[np.int64] | None]:
    """Columns of a piece and the bytes where pieces begin, int64 [rows, pieces]; None where HDF5 must read."""
    rows, columns = dataset.shape
    if dataset.chunks is None:
        first = dataset.id.get_offset()
        if first is None:
            return columns, None
        return columns, (first + np.arange(rows, dtype=np.int64) * columns * dataset.dtype.itemsize)[:, None]
    height, width = dataset.chunks
    if height != 1 or dataset.id.get_create_plist().get_nfilters() or not hasattr(dataset.id, "chunk_iter"):
        return width, None
    offsets = np.full((rows, -(-columns // width)), -1, np.int64)

    def note(chunk: Any) -> None:
        row, column = chunk.chunk_offset
        offsets[row, column // width] = chunk.byte_offset

    dataset.id.chunk_iter(note)
    return width, None if (offsets < 0).any() else offsets


def _read(handle: int, out: NDArray[Any], offset: int) -> None:
    view = out.data.cast("B")
    done = 0
    while done < len(view):
        count = os.preadv(handle, [view[done:]], offset + done)
        if count == 0:
            raise OSError(f"the file ends at byte {offset + done}")
        done += count
