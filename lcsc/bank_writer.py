"""Writing a bank, and appending to one: a new segment and a new index appear together or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank_index import INDEX, Index, StoredCheckpoint, StoredSegment, TensorEntry, index_text
from lcsc.bank_segments import SegmentWriter, segment_name, segment_writer
from lcsc.errors import InputError, LcscError
from lcsc.files import replacing


class BankWriter:
    """Takes the checkpoints of one segment, then what they share; made by :func:`bank_writer`."""

    def __init__(self, folder: Path, segment: SegmentWriter, previous: Index | None) -> None:
        self._folder, self._segment, self._previous = folder, segment, previous
        self._number = len(previous.segments) if previous else 0
        self._stored: list[StoredCheckpoint] = list(previous.checkpoints) if previous else []
        self._index = previous or Index((), (), ())

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
        row = len(self._segment.hashes)
        weights_sha256 = self._segment.add(vector)
        self._stored.append(StoredCheckpoint(step, source, sha256, weights_sha256, self._number, row))

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


@contextmanager
def bank_writer(folder: Path, rows: int, previous: Index | None = None) -> Iterator[BankWriter]:
    """A writer of a segment of ``rows`` checkpoints to the bank in ``folder``.

    Without ``previous`` the bank is made anew; with its present index the segment is appended to it, and
    no earlier segment is touched. Whatever fails, the folder holds what it held before. Raises
    :class:`LcscError` where the disk is full or cannot be written.
    """
    name = segment_name(len(previous.segments) if previous else 0)
    # Both files stand whole on the disk before the first is renamed: the segment, then the index.
    with replacing(folder / INDEX) as index_file, replacing(folder / name) as segment_file:
        with segment_writer(segment_file, rows) as segment:
            writer = BankWriter(folder, segment, previous)
            yield writer
        if not segment.whole:
            raise LcscError(f"{folder / name}: fewer than {rows} checkpoints were written; collect the bank again")
        index = writer.index(segment.described(segment_file, name))
        index_file.write_text(index_text(index), encoding="utf-8")
