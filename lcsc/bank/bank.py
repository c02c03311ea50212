"""The bank: the checkpoints of one run, flattened and aligned, in a folder of immutable segments.

A bank is read in blocks of columns, so its size is bounded by the disk and not by memory. Objects of this
module hold no open files: several threads may read one bank at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank.blocks import Block, on_threads, read_ahead, read_apart
from lcsc.bank.index import INDEX, Index, Storage, StoredCheckpoint, StoredSegment, TensorEntry, read_index
from lcsc.bank.memory import COLUMNS, block_columns, fits, readers
from lcsc.bank.reading import OpenSegment, open_segment
from lcsc.bank.segments import allow_open_files, check_hash, check_size
from lcsc.checkpoints.names import strip_prefix
from lcsc.errors import InputError
from lcsc.hdf5_files import own_dataset

# A resident bank's blocks cost nothing. Each thread has several parts of it: one that is held up leaves some to others.
_RESIDENT_COLUMNS, _SHARES = 16 * COLUMNS, 4

__all__ = ["Bank", "ResidentBank", "StoredCheckpoint", "StoredSegment", "TensorEntry"]


class Bank:
    """K checkpoints of P float32 parameters each.

    Attributes: ``path`` (the folder), ``tensors`` (the table, in the order of the flat vector), ``steps`` (K
    training steps, rising), ``K``, ``P``, ``base_row`` (the checkpoint from which a combination takes differences:
    the last), ``identity`` (sha256 of all that a merged checkpoint depends on), ``checkpoints``, ``storage`` ("float32"
    or "differences": see :mod:`lcsc.bank.differences`), ``prefix`` and ``track`` and ``container`` (how the source
    files were made). Weights are the same float32 numbers whichever way they are read; of checkpoints stored as
    differences they are near those that were saved, of all others exactly those.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self._index = index
        self.tensors: tuple[TensorEntry, ...] = index.tensors
        self.checkpoints: tuple[StoredCheckpoint, ...] = index.checkpoints
        self.steps: list[int] = [stored.step for stored in index.checkpoints]
        self._places: list[list[tuple[int, StoredCheckpoint]]] = [[] for _ in index.segments]
        for place in enumerate(index.checkpoints):
            self._places[place[1].segment].append(place)
        self.K, self.P = len(self.steps), index.parameters
        self.base_row = self.K - 1
        self.identity = index.identity
        self.storage: Storage = index.storage
        self.prefix, self.track, self.container = index.prefix, index.track, index.container

    @staticmethod
    def open(path: Path | str, segments: int | None = None, verify: bool = False) -> Bank:
        """The bank in a folder (or of its ``index.json``), or what its first ``segments`` segments hold.

        A search that pins its segments is not disturbed by checkpoints appended meanwhile. ``verify`` reads
        every byte and compares hashes. Raises :class:`InputError` for a missing, damaged or foreign bank.
        """
        path = Path(path)
        folder = path.parent if path.name == INDEX else path
        if folder.is_file():
            raise InputError(
                f"{folder}: found a file, expected a bank: the folder that `lcsc collect` makes, or its {INDEX}"
            )
        index = read_index(folder)
        if segments is not None:
            if not 1 <= segments <= len(index.segments):
                raise InputError(f"{folder}: found {len(index.segments)} segments, expected at least {segments}")
            index = index.first_segments(segments)
        bank = Bank(folder, index)
        for segment in index.segments:
            check_size(folder / segment.file, segment)
        if verify:
            bank.verify()
        return bank

    def verify(self) -> None:
        """Read index and segments anew; :class:`InputError` that names the file where a byte was changed."""
        read_index(self.path)
        for segment in self._index.segments:
            check_hash(self.path / segment.file, segment)

    def others(self) -> dict[str, NDArray[Any]]:
        """The tensors that are not combined, by name: constants, and the last checkpoint's counters."""
        with self._opened(len(self._index.segments) - 1) as segment:
            places = {place: entry for place, entry in enumerate(self.tensors) if entry.role != "combined"}
            return {
                entry.name: np.asarray(own_dataset(segment.file, f"others/{place:05d}"))
                for place, entry in places.items()
            }

    def stream(self, columns: int | None = None) -> Iterator[Block]:
        """All weights in blocks of ``columns``, by default as many as :mod:`lcsc.bank.memory` says, read ahead.

        A block is valid until the next one is asked for.
        """
        wanted = columns or block_columns(self.K, self.storage == "differences")
        with self._filling() as fill:
            yield from read_ahead(fill, self.K, self.P, wanted)

    def each(self, work: Callable[[Block], None], threads: int = 1) -> None:
        """``work`` on blocks that make up all weights; several ``threads`` take and read them apart, in any order."""
        if threads == 1:
            for block in self.stream():
                work(block)
            return
        differences = self.storage == "differences"
        count = readers(self.K, differences, threads)
        with self._filling() as fill:
            read_apart(fill, (self.K, self.P), block_columns(self.K, differences, count), work, count)

    @contextmanager
    def _filling(self) -> Iterator[Callable[[NDArray[np.float32], int, int], None]]:
        """What fills a buffer [K, width] with the columns from a start to a stop, of all segments, which are open."""
        allow_open_files(self.path, len(self._index.segments))
        with ExitStack() as stack:
            segments = [stack.enter_context(self._opened(number)) for number in range(len(self._index.segments))]

            def fill(buffer: NDArray[np.float32], start: int, stop: int) -> None:
                for segment in segments:
                    segment.fill(buffer, start, stop)

            yield fill

    def blocks(self, columns: int | None = None) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """:meth:`stream` as pairs: (slice of the P columns, float32 [K, width]), valid until the next is asked for."""
        for block in self.stream(columns):
            yield block.columns, block.weights

    def checkpoint(self, k: int) -> NDArray[np.float32]:
        """The weights of checkpoint ``k`` (0 to K - 1), float32 [P]."""
        chain = [self.checkpoints[k]]
        while chain[-1].base is not None:
            chain.append(self.checkpoints[chain[-1].base])
        vector = np.empty(self.P, np.float32)
        for stored in reversed(chain):
            with self._opened(stored.segment) as segment:
                segment.add_to(vector, stored)
        return vector

    def segment_file(self, k: int) -> str:
        """The name of the file that holds checkpoint ``k``."""
        return self._index.segments[self.checkpoints[k].segment].file

    def _opened(self, number: int) -> AbstractContextManager[OpenSegment]:
        return open_segment(self.path, self._index.segments[number], self._places[number], self.P)

    def resident(self) -> ResidentBank:
        """The same bank with its weights in memory (4 K P bytes)."""
        weights = np.empty((self.K, self.P), np.float32)
        for columns, block in self.blocks():
            weights[:, columns] = block
        return ResidentBank(self, weights)

    def kept(self, allowed: int | None = None) -> Bank:
        """This bank, resident where it takes at most ``allowed`` bytes; :mod:`lcsc.bank.memory` has the default."""
        return self.resident() if fits(self.K, self.P, allowed) else self

    def flatten(self, state: Mapping[str, torch.Tensor], source: str = "state dict") -> NDArray[np.float32]:
        """The combined tensors of ``state`` as a vector, float32 [P].

        Names may have a wrapper's prefix; ``source`` names the state in errors. Tensors that are not
        combined, and tied names, may be absent. Raises :class:`InputError` for missing, extra or differently
        shaped tensors.
        """
        _, names = strip_prefix(state)
        stripped = dict(zip(names, state.values(), strict=True))
        known = {name for entry in self.tensors for name in (entry.name, *entry.aliases)}
        for name in stripped:
            if name not in known:
                raise InputError(f"{source}: found an extra tensor {name!r}, expected those of the bank {self.path}")
        vector = np.empty(self.P, np.float32)
        for entry in self.tensors:
            if entry.role == "combined":
                vector[entry.offset : entry.offset + entry.count] = self._flat(entry, stripped, source)
        return vector

    def _flat(self, entry: TensorEntry, state: Mapping[str, torch.Tensor], source: str) -> NDArray[np.float32]:
        name = next((name for name in (entry.name, *entry.aliases) if name in state), None)
        if name is None:
            raise InputError(f"{source}: tensor {entry.name!r} is missing, expected those of the bank {self.path}")
        tensor = state[name]
        if tuple(tensor.shape) != entry.shape:
            found, expected = list(tensor.shape), list(entry.shape)
            raise InputError(f"{source}: tensor {name!r}: found shape {found}, expected {expected} as in {self.path}")
        values: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).contiguous().reshape(-1).numpy()
        return values

    def unflatten(self, vector: NDArray[np.float32]) -> dict[str, torch.Tensor]:
        """The state dict of a flat vector [P], with the dtypes of the files and names without their prefix.

        Constants and counters are put back; tied names share one tensor.
        """
        if vector.shape != (self.P,):
            raise InputError(f"weights: found shape {list(vector.shape)}, expected [{self.P}] as in {self.path}")
        others = self.others()
        state: dict[str, torch.Tensor] = {}
        for entry in self.tensors:
            if entry.role == "combined":
                values = torch.from_numpy(vector[entry.offset : entry.offset + entry.count].astype(np.float32))
                tensor = values.reshape(entry.shape).to(getattr(torch, entry.dtype))
            else:
                tensor = torch.from_numpy(np.array(others[entry.name])).reshape(entry.shape)
            state[entry.name] = tensor
        for entry in self.tensors:
            state.update(dict.fromkeys(entry.aliases, state[entry.name]))
        return state

    def restore_names(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """``state`` under the names of the source files, with their prefix."""
        return {self.prefix + name: tensor for name, tensor in state.items()}


class ResidentBank(Bank):
    """A bank whose weights stand in memory, float32 [K, P]."""

    def __init__(self, bank: Bank, weights: NDArray[np.float32]) -> None:
        super().__init__(bank.path, bank._index)
        weights = np.ascontiguousarray(weights)
        weights.flags.writeable = False
        self.weights = weights

    def stream(self, columns: int | None = None) -> Iterator[Block]:
        """All weights in blocks of ``columns``: parts of the array in memory."""
        width = columns or _RESIDENT_COLUMNS
        for start in range(0, self.P, width):
            yield Block(slice(start, min(start + width, self.P)), self.weights, start)

    def each(self, work: Callable[[Block], None], threads: int = 1) -> None:
        """``work`` on all weights; several ``threads`` share them."""
        whole = Block(slice(0, self.P), self.weights, 0)
        if threads == 1:
            work(whole)
        else:
            on_threads(work, whole.shares(_SHARES * threads), threads)

    def checkpoint(self, k: int) -> NDArray[np.float32]:
        """A copy of the weights of checkpoint ``k``, float32 [P]."""
        return np.array(self.weights[k])

    def resident(self) -> ResidentBank:
        """This bank itself."""
        return self
