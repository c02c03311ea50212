"""The segments of a bank: immutable HDF5 files of flattened checkpoints, one row each.

Dataset ``weights`` is float32 [rows, P] in chunks of one row by 65,536 columns, so that blocks of columns are
read at the disk's own rate and a segment never needs more memory than a block. Group ``others`` holds the
tensors that are not combined, by their place in the table of tensors. Nothing in the file depends on the
time: the same checkpoints give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lcsc.bank_index import StoredSegment, TensorEntry, others_sha256
from lcsc.errors import InputError
from lcsc.files import hash_of, sha256_of
from lcsc.streams import DeferredErrors

COLUMNS = 65_536
FORMAT, VERSION = "lcsc-bank-segment", 1


def segment_name(number: int) -> str:
    """The file name of segment ``number``."""
    return f"segment-{number:04d}.h5"


class SegmentWriter:
    """Takes rows one at a time; made by :func:`segment_writer`."""

    def __init__(self, file: h5py.File, stream: DeferredErrors, rows: int) -> None:
        self._file, self._stream, self._rows = file, stream, rows
        self.hashes: list[str] = []
        self.others_sha256 = ""

    @property
    def content(self) -> str:
        """A name for the weights and other tensors of the segment."""
        return hash_of([*self.hashes, self.others_sha256])

    @property
    def whole(self) -> bool:
        """Whether all rows and the other tensors were stored."""
        return len(self.hashes) == self._rows and bool(self.others_sha256)

    def add(self, vector: NDArray[np.float32]) -> str:
        """Store the next checkpoint, float32 [P]; its sha256."""
        vector = np.ascontiguousarray(vector, np.float32)
        row = len(self.hashes)
        if row == 0:
            chunks = (1, min(COLUMNS, vector.size))
            shape = (self._rows, vector.size)
            self._file.create_dataset("weights", shape, np.float32, chunks=chunks, track_times=False)
        self._file["weights"][row] = vector
        self._stream.raise_error()
        self.hashes.append(hashlib.sha256(vector.data).hexdigest())
        return self.hashes[-1]

    def seal(self, tensors: Sequence[TensorEntry], others: Mapping[str, NDArray[Any]]) -> None:
        """Store the tensors that are not combined, and the names of format, version and content."""
        from lcsc import __version__

        self.others_sha256 = others_sha256(others)
        for place, entry in enumerate(tensors):
            if entry.role != "combined":
                value = others[entry.name]
                self._file.create_dataset(f"others/{place:05d}", data=value, track_times=False)
        attributes = {"format": FORMAT, "format_version": VERSION, "lcsc_version": __version__}
        self._file.attrs.update({**attributes, "content": self.content})

    def described(self, path: Path, name: str) -> StoredSegment:
        """The index's entry for the segment, closed now, at ``path`` and soon called ``name``."""
        return StoredSegment(
            file=name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
            rows=len(self.hashes),
            others_sha256=self.others_sha256,
            content=self.content,
        )


@contextmanager
def segment_writer(path: Path, rows: int) -> Iterator[SegmentWriter]:
    """A writer of ``rows`` checkpoints to the file ``path``."""
    with DeferredErrors(path) as stream, h5py.File(stream, "w", libver=("v110", "v110")) as file:
        yield SegmentWriter(file, stream, rows)


@contextmanager
def opened(path: Path, segment: StoredSegment, parameters: int) -> Iterator[h5py.File]:
    """The segment's HDF5 file for reading; :class:`InputError` where it is not the one in the index."""
    again = "collect the bank again"
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; expected a segment of the bank; {again}") from error
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as HDF5 ({reason}); it may be truncated, {again}") from error
    with file:
        content = file.attrs.get("content")
        if content != segment.content:
            raise InputError(f"{path}: found content {content!r}, expected {segment.content!r} (index.json); {again}")
        weights = file.get("weights")
        expected = (segment.rows, parameters)
        if not isinstance(weights, h5py.Dataset) or weights.shape != expected or weights.dtype != np.float32:
            raise InputError(f"{path}: dataset 'weights' is not float32 {list(expected)}; {again}")
        yield file


def check_size(path: Path, segment: StoredSegment) -> None:
    """Refuse a segment file that is missing or of another size."""
    found = path.stat().st_size if path.is_file() else None
    if found != segment.bytes:
        size = "not found" if found is None else f"found {found} bytes"
        raise InputError(f"{path}: {size}, expected {segment.bytes} bytes; it may be truncated, collect the bank again")


def check_hash(path: Path, segment: StoredSegment) -> None:
    """Refuse a segment file of which any byte was changed."""
    check_size(path, segment)
    found = sha256_of(path)
    if found != segment.sha256:
        raise InputError(f"{path}: found sha256 {found}, expected {segment.sha256}; collect the bank again")
