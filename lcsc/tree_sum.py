"""A sum of arrays along a fixed binary tree: the same bytes in whatever order they come, and in shares of it."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
_Branch = tuple[int, int]


class TreeSum:
    """The sum of ``leaves`` arrays (a power of two), neighbours first, then neighbouring sums, up to the root.

    A branch of 2^k leaves, the first a multiple of 2^k, is a tree of its own: the tree over the sums of all such
    branches has the root of the tree over all leaves, bit for bit. A leaf may be None, which adds nothing. Arrays
    are kept and added to in place. With leaves that come in order at most log2(leaves) of them wait.
    """

    def __init__(self, leaves: int) -> None:
        if leaves < 1 or leaves & (leaves - 1):
            raise ValueError(f"leaves: found {leaves}, expected a power of two")
        self._root: _Branch = (leaves.bit_length() - 1, 0)
        self._waiting: dict[_Branch, Float64Array | None] = {}
        self._lock = threading.Lock()

    def add(self, place: int, array: Float64Array | None) -> None:
        """Take the leaf ``place`` (0, 1, ...; each once), from any thread."""
        with self._lock:
            level, index = 0, place
            while (level, index) != self._root and (level, index ^ 1) in self._waiting:
                array = _joined(self._waiting.pop((level, index ^ 1)), array)
                level, index = level + 1, index // 2
            self._waiting[level, index] = array

    @property
    def value(self) -> Float64Array | None:
        """The whole sum, once every leaf is there; None where all of them were."""
        if list(self._waiting) != [self._root]:
            raise ValueError("leaves: some are missing")
        return self._waiting[self._root]


def _joined(first: Float64Array | None, second: Float64Array | None) -> Float64Array | None:
    if first is None or second is None:
        return first if second is None else second
    # A sum of two does not depend on their order, so it may stand in either's memory.
    total: Float64Array = np.add(first, second, out=first)
    return total
