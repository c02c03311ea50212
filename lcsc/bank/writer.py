"""Writing a bank, and appending to one: a new segment and a new index appear together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lcsc.bank.index import INDEX, Index, Storage, StoredCheckpoint, StoredSegment, TensorEntry, index_text
from lcsc.bank.segments import SegmentWriter, segment_name, segment_writer
from lcsc.errors import InputError, LcscError
from lcsc.files import replacing

# Every so many checkpoints one is stored as float32: 2.1 bytes a value, and never more rows to read for one checkpoint.
CHAIN = 16


@dataclass(frozen=True)
class Base:
    """Checkpoint ``k`` of the bank as it is read, float32 [P]; ``chained`` differences lead to it from a whole one."""

    k: int
    chained: int
    vector: NDArray[np.float32]


class BankWriter:
    """Takes the checkpoints of one segment, then what they share; made by :func:`bank_writer`.

    ``base`` is what the next checkpoint's differences are taken from; None where weights are stored as float32.
    ``written`` is the bank's index once all is done.
    """

    def __init__(self, folder: Path, segment: SegmentWriter, previous: Index | None, plan: _Plan) -> None:
        self._folder, self._segment, self._previous, self._plan = folder, segment, previous, plan
        self._number = len(previous.segments) if previous else 0
        self._stored: list[StoredCheckpoint] = list(previous.checkpoints) if previous else []
        self._index = previous or Index((), (), ())
        self._done = 0
        self.base = plan.base
        self.written: Index | None = None

    def add(self, vector: NDArray[np.float32], *, step: int, source: str, sha256: str) -> None:
        """Store the next checkpoint, float32 [P]; ``source`` and ``sha256`` name the file it came from.

        Raises :class:`InputError` for another P and for a step that is not later than the one before.
        """
        before = self._stored[-1].step if self._stored else -1
        if step <= before:
            raise InputError(f"{self._folder}: {source}: found step {step}, expected one after step {before}")
        if self._previous is not None and vector.size != self._previous.parameters:
            expected = self._previous.parameters
            raise InputError(f"{self._folder}: {source}: found {vector.size} parameters, expected {expected}")
        k, number = len(self._stored), self._number
        from_base = None if self._plan.whole(self._done) else self.base
        self._done += 1
        if from_base is None:
            row, as_read = self._segment.add(vector)
            place = StoredCheckpoint(step, source, sha256, self._segment.hashes[-1], number, row)
        else:
            row, as_read = self._segment.add(vector, from_base.vector)
            place = StoredCheckpoint(step, source, sha256, self._segment.hashes[-1], number, row, from_base.k)
        self._stored.append(place)
        if self._plan.storage == "differences":
            self.base = Base(k, 0 if from_base is None else from_base.chained + 1, as_read)

    def finish(
        self,
        tensors: tuple[TensorEntry, ...],
        others: Mapping[str, NDArray[Any]],
        *,
        prefix: str = "",
        track: str = "raw",
        container: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the tensors that are not combined, and say what the flat vectors hold.

        Raises :class:`InputError` where ``tensors`` are not those of the segments before.
        """
        if self._previous is not None and _places(tensors) != _places(self._previous.tensors):
            raise InputError(f"{self._folder}: the appended tensors are not those of the bank; start another bank")
        self._segment.seal(tensors, others)
        self._index = replace(
            self._index,
            tensors=tensors,
            checkpoints=tuple(self._stored),
            prefix=prefix,
            track=track,
            container=container or {},
        )

    def index(self, segment: StoredSegment) -> Index:
        """The index with the new segment at its end."""
        return replace(self._index, segments=(*self._index.segments, segment))


def _places(tensors: tuple[TensorEntry, ...]) -> list[TensorEntry]:
    # What was constant so far may turn out to be a counter.
    return [replace(entry, role="constant") if entry.role == "counter" else entry for entry in tensors]


@dataclass(frozen=True)
class _Plan:
    """How the checkpoints of a segment are stored."""

    storage: Storage
    base: Base | None

    def whole(self, place: int) -> bool:
        """Whether checkpoint ``place`` of the segment, counted from 0, is stored as float32."""
        before = 0 if self.base is None else self.base.chained + 1
        return self.storage == "float32" or (before + place) % CHAIN == 0


@contextmanager
def bank_writer(
    folder: Path,
    rows: int,
    previous: Index | None = None,
    storage: Storage = "float32",
    base: Base | None = None,
) -> Iterator[BankWriter]:
    """A writer of a segment of ``rows`` checkpoints to the bank in ``folder``.

    Without ``previous`` the bank is made anew; with its present index the segment is appended to it, and
    no earlier segment is touched. Whatever fails, the folder holds what it held before. As "differences", every 16th
    checkpoint is stored as float32 and each other relative to the one before; ``base`` is what the writer of the
    segment before left, without it the first checkpoint is stored as float32. Raises :class:`LcscError` where the
    disk is full or cannot be written.
    """
    if storage not in get_args(Storage):
        raise InputError(f"storage: found {storage!r}, expected one of {', '.join(get_args(Storage))}")
    plan = _Plan(storage, base)
    name = segment_name(len(previous.segments) if previous else 0)
    differences = sum(not plan.whole(place) for place in range(rows))
    # Both files stand whole on the disk before the first is renamed: the segment, then the index.
    with replacing(folder / INDEX) as index_file, replacing(folder / name) as segment_file:
        with segment_writer(segment_file, rows, differences) as segment:
            writer = BankWriter(folder, segment, previous, plan)
            yield writer
        if not segment.whole:
            raise LcscError(f"{folder / name}: fewer than {rows} checkpoints were written; collect the bank again")
        index = writer.index(segment.described(segment_file, name))
        index_file.write_text(index_text(index), encoding="utf-8")
    writer.written = index
