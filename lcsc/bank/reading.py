"""Reading the weights of a bank's segments, however each checkpoint is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from lcsc.bank import differences
from lcsc.bank.extents import Extents
from lcsc.bank.index import StoredCheckpoint, StoredSegment
from lcsc.bank.segments import opened
from lcsc.errors import InputError, reason_of

# The checkpoints of a segment with their numbers in the bank.
Places = Sequence[tuple[int, StoredCheckpoint]]


class OpenSegment:
    """A segment whose ``file`` is open; made by :func:`open_segment`."""

    def __init__(self, path: Path, file: h5py.File, places: Places, differing: int) -> None:
        self.path, self.file = path, file
        self._places, self._first, self._count = places, places[0][0], len(places)
        self._differences = differing
        self._units = np.asarray(file["units"]) if self._differences else np.empty((0, 0), np.float32)
        self._rows = {name: Extents(file[name]) for name in ("weights", "differences") if name in file}
        self._local = threading.local()

    def fill(self, buffer: NDArray[np.float32], start: int, stop: int) -> None:
        """Columns ``start`` to ``stop`` of the segment's checkpoints into their rows of ``buffer`` [K, width].

        Rows of the segments before stand there already: differences may be taken from them. Several threads may
        fill buffers of their own at once. Raises :class:`InputError` where the file cannot be read.
        """
        width = stop - start
        try:
            if self._differences == 0:
                target = buffer[self._first : self._first + self._count, :width]
                self._rows["weights"].read(slice(0, self._count), start, target)
            else:
                self._decode(buffer, start, stop)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({reason_of(error)}); collect it again") from error

    def _decode(self, buffer: NDArray[np.float32], start: int, stop: int) -> None:
        width = stop - start
        weights, bits = (memory[:, :width] for memory in self._memory(width))
        for name, memory in (("weights", weights), ("differences", bits)):
            if len(memory):
                self._rows[name].read(slice(0, len(memory)), start, memory)
        for k, stored in self._places:
            if stored.base is None:
                buffer[k, :width] = weights[stored.row]
            else:
                units = self._units[stored.row]
                differences.decode(bits[stored.row], units, buffer[stored.base, :width], buffer[k, :width], start)

    def _memory(self, width: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
        """This thread's reused memory for whole checkpoints and for differences of at least ``width`` columns."""
        found: tuple[NDArray[np.float32], NDArray[np.uint16]] | None = getattr(self._local, "memory", None)
        if found is None or found[1].shape[1] < width:
            whole = self._count - self._differences
            found = np.empty((whole, width), np.float32), np.empty((self._differences, width), np.uint16)
            self._local.memory = found
        return found

    def add_to(self, vector: NDArray[np.float32], stored: StoredCheckpoint) -> None:
        """Turn ``vector`` [P], the weights of what a checkpoint of the segment is relative to, into its weights."""
        if stored.base is None:
            self.file["weights"].read_direct(vector, np.s_[stored.row])
        else:
            differences.decode(self.file["differences"][stored.row], self._units[stored.row], vector, vector, 0)


@contextmanager
def open_segment(folder: Path, segment: StoredSegment, places: Places, parameters: int) -> Iterator[OpenSegment]:
    """A segment of the bank in ``folder``, which holds ``places``, for reading.

    Raises :class:`InputError` where the file is not the one in the index.
    """
    path = folder / segment.file
    differing = sum(stored.base is not None for _, stored in places)
    with opened(path, segment, parameters, differing) as file:
        yield OpenSegment(path, file, places, differing)
