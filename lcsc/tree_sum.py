"""A sum of arrays along a fixed binary tree: the same bytes in whatever order they come, and in shares of it."""

from __future__ import annotations

import tempfile
import threading

import numpy as np
from numpy.typing import NDArray

from lcsc.progress import logger

Float64Array = NDArray[np.float64]
# Numbers read from a file at once.
BLOCK = 1 << 16
_Branch = tuple[int, int]


class TreeSum:
    """The sum of ``leaves`` arrays (a power of two), neighbours first, then neighbouring sums, up to the root.

    A branch of 2^k leaves, the first a multiple of 2^k, is a tree of its own: the tree over the sums of all such
    branches has the root of the tree over all leaves, bit for bit. A leaf may be None, which adds nothing. Arrays
    are kept and added to in place. With leaves that come in order at most log2(leaves) sums wait, the last one in
    memory and those before it in temporary files.
    """

    def __init__(self, leaves: int) -> None:
        if leaves < 1 or leaves & (leaves - 1):
            raise ValueError(f"leaves: found {leaves}, expected a power of two")
        self._root: _Branch = (leaves.bit_length() - 1, 0)
        self._waiting: dict[_Branch, Float64Array | _Stored | None] = {}
        self._lock = threading.Lock()

    def add(self, place: int, array: Float64Array | None) -> None:
        """Take the leaf ``place`` (0, 1, ...; each once), from any thread."""
        with self._lock:
            level, index = 0, place
            while (level, index) != self._root and (level, index ^ 1) in self._waiting:
                array = _joined(self._waiting.pop((level, index ^ 1)), array)
                level, index = level + 1, index // 2
            for branch, other in self._waiting.items():
                if isinstance(other, np.ndarray):
                    self._waiting[branch] = _stored(other)
            self._waiting[level, index] = array

    @property
    def value(self) -> Float64Array | None:
        """The whole sum, once every leaf is there; None where all of them were."""
        if list(self._waiting) != [self._root]:
            raise ValueError("leaves: some are missing")
        root = self._waiting[self._root]
        assert not isinstance(root, _Stored)  # nothing came after it
        return root


class _Stored:
    """An array in a temporary file, which is gone with it."""

    def __init__(self, array: Float64Array) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this
        self._shape = array.shape
        array.tofile(self._file)

    def add_to(self, array: Float64Array) -> Float64Array:
        """``array`` with this one added in place, a block in memory at once."""
        self._file.seek(0)
        flat = array.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            part = flat[start : start + BLOCK]
            part += np.fromfile(self._file, count=part.size)
        self._file.close()
        return array

    def load(self) -> Float64Array:
        """The array again, bit for bit."""
        self._file.seek(0)
        with self._file:
            return np.fromfile(self._file).reshape(self._shape)


def _stored(array: Float64Array) -> Float64Array | _Stored:
    """``array`` in a file; itself where there is no room for one."""
    try:
        return _Stored(array)
    except OSError as error:
        folder = tempfile.gettempdir()
        logger.warning("%s: no room for a sum (%s), kept in memory; set TMPDIR to a larger folder", folder, error)
        return array


def _joined(first: Float64Array | _Stored | None, second: Float64Array | None) -> Float64Array | None:
    # A sum of two does not depend on their order, so it may stand in either's memory.
    if isinstance(first, _Stored):
        return first.load() if second is None else first.add_to(second)
    if first is None or second is None:
        return first if second is None else second
    second += first
    return second
