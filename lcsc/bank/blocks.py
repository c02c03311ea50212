"""Blocks of columns of a bank, read ahead, and the tiles that all passes over a bank work on."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank.memory import TILE

if TYPE_CHECKING:
    from lcsc.bank.bank import Bank

# Columns start to stop, which take one row of coefficients.
Run = tuple[int, int, int]
T = TypeVar("T")

_local = threading.local()


class Block(NamedTuple):
    """Some ``columns`` of all checkpoints: they begin at column ``offset`` of ``memory``, float32 [K, ...], C order."""

    columns: slice
    memory: NDArray[np.float32]
    offset: int

    @property
    def weights(self) -> NDArray[np.float32]:
        """The block's weights, float32 [K, width]."""
        return self.memory[:, self.offset : self.offset + self.columns.stop - self.columns.start]

    def part(self, columns: slice) -> Block:
        """Some of the block's columns."""
        return Block(columns, self.memory, self.offset + columns.start - self.columns.start)

    def shares(self, count: int) -> list[Block]:
        """Up to ``count`` parts of whole tiles, as even as they go."""
        start, stop = self.columns.start, self.columns.stop
        width = -(-(stop - start) // (count * TILE)) * TILE
        return [self.part(slice(first, min(first + width, stop))) for first in range(start, stop, width)]


def read_ahead(
    fill: Callable[[NDArray[np.float32], int, int], None], checkpoints: int, parameters: int, columns: int
) -> Iterator[Block]:
    """Blocks of ``columns`` columns; while one is worked on, a thread reads the next: two are in memory.

    ``fill(buffer, start, stop)`` puts columns into ``buffer`` [K, width]; what it raises is raised here, where the
    block it was to read is asked for. A block is valid until the next one is asked for.
    """
    width = min(columns, parameters)
    starts = range(0, parameters, max(width, 1))
    buffers = [np.empty((checkpoints, width), np.float32) for _ in starts[:2]]

    def read(number: int) -> Block:
        start, buffer = starts[number], buffers[number % 2]
        stop = min(start + width, parameters)
        fill(buffer, start, stop)
        return Block(slice(start, stop), buffer, 0)

    # A thread of its own has PyTorch's default number of threads, not the caller's.
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as reader:
        pending = reader.submit(read, 0) if len(starts) else None
        for number in range(1, len(starts) + 1):
            assert pending is not None
            block = pending.result()
            pending = reader.submit(read, number) if number < len(starts) else None
            yield block


def read_apart(
    fill: Callable[[NDArray[np.float32], int, int], None],
    weights: tuple[int, int],
    columns: int,
    work: Callable[[Block], None],
    threads: int,
) -> None:
    """``work`` on blocks of ``columns`` columns of ``weights`` [K, P], each read by the thread that works on it.

    ``fill`` is as for :func:`read_ahead`. ``threads`` blocks are in memory.
    """
    checkpoints, parameters = weights
    width = min(columns, parameters)
    free: SimpleQueue[NDArray[np.float32]] = SimpleQueue()
    for _ in range(threads):
        free.put(np.empty((checkpoints, width), np.float32))

    def read(start: int) -> None:
        buffer, stop = free.get(), min(start + width, parameters)
        try:
            fill(buffer, start, stop)
            work(Block(slice(start, stop), buffer, 0))
        finally:
            free.put(buffer)

    on_threads(read, range(0, parameters, max(width, 1)), threads)


def on_threads(work: Callable[[T], None], items: Iterable[T], threads: int) -> None:
    """``work`` on all ``items``, which ``threads`` threads take one after the other; raises the first error."""
    # A thread of its own has PyTorch's default number of threads, not the caller's.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        for _ in pool.map(work, items):
            pass


@dataclass(frozen=True)
class Tile:
    """Up to ``TILE`` ``columns`` of a block, and the ``pieces`` of them that take one row of coefficients each."""

    block: Block
    columns: slice
    pieces: tuple[Run, ...]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The tile's weights, float32 [K, width]."""
        return self.block.part(self.columns).weights

    def within(self, piece: Run) -> slice:
        """The columns of ``piece``, counted from the tile's first."""
        return slice(piece[0] - self.columns.start, piece[1] - self.columns.start)

    def differences(self, base_row: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Base [width] and differences from it [K, width] in this thread's reused float64 memory."""
        weights = self.weights
        count, width = weights.shape
        memory = getattr(_local, "memory", None)
        if memory is None or memory.size < (count + 1) * TILE:
            memory = _local.memory = _aligned((count + 1) * TILE)
        work = memory[: (count + 1) * width].reshape(count + 1, width)
        base, differences = work[0], work[1:]
        np.copyto(base, weights[base_row])
        np.copyto(differences, weights)
        differences -= base
        return base, differences


def tiles(bank: Bank, runs: Sequence[Run] | None = None) -> Iterator[Tile]:
    """All tiles of ``bank`` in order, in one pass; ``runs`` are its parameter groups', by default one for all."""
    cut = runs_of(bank, runs)
    for block in bank.stream():
        yield from tiles_of(block, cut)


def runs_of(bank: Bank, runs: Sequence[Run] | None) -> Sequence[Run]:
    """``runs``, or the one of a single group."""
    return ((0, bank.P, 0),) if runs is None else runs


def tiles_of(block: Block, runs: Sequence[Run]) -> Iterator[Tile]:
    """The tiles of one block, which begins at a multiple of ``TILE``."""
    for start in range(block.columns.start, block.columns.stop, TILE):
        columns = slice(start, min(start + TILE, block.columns.stop))
        yield Tile(block, columns, tuple(runs_within(columns, runs)))


def runs_within(columns: slice, runs: Sequence[Run]) -> Iterator[Run]:
    """The parts of ``runs`` that lie in ``columns``, in order."""
    place = bisect_right(runs, columns.start, key=lambda run: run[0]) - 1
    while place < len(runs) and runs[place][0] < columns.stop:
        start, stop, row = runs[place]
        yield max(start, columns.start), min(stop, columns.stop), row
        place += 1


def _aligned(size: int) -> NDArray[np.float64]:
    """Uninitialised float64 [size] that begins at a multiple of 64 bytes, as the BLAS likes it."""
    raw = np.empty(size * 8 + 64, np.uint8)
    shift = -raw.ctypes.data % 64
    return raw[shift : shift + size * 8].view(np.float64)
