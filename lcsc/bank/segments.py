"""The segments of a bank: immutable HDF5 files of flattened checkpoints, one row each.

Dataset ``weights`` is float32 [rows, P] in chunks of one row by 65,536 columns, so that blocks of columns are
read at the disk's own rate and a segment never needs more memory than a block. Checkpoints stored as differences
(:mod:`lcsc.bank.differences`) stand in ``differences`` [rows, P] and ``units`` [rows, chunks] instead. Group ``others``
holds the tensors that are not combined, by their place in the table of tensors. Nothing in the file depends on the
time: the same checkpoints give the same bytes.
"""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from lcsc.bank import differences
from lcsc.bank.index import StoredSegment, TensorEntry, others_sha256
from lcsc.bank.memory import COLUMNS
from lcsc.errors import InputError, reason_of
from lcsc.files import hash_of, sha256_of
from lcsc.hdf5_files import own_dataset
from lcsc.streams import DeferredErrors

# Version 2 has rows stored as differences; a segment without any is of version 1.
FORMAT, VERSIONS = "lcsc-bank-segment", (1, 2)
# What a process may have open beside the segments of a bank.
_OTHER_FILES = 256


def segment_name(number: int) -> str:
    """The file name of segment ``number``."""
    return f"segment-{number:04d}.h5"


class SegmentWriter:
    """Takes rows one at a time; made by :func:`segment_writer`."""

    def __init__(self, file: h5py.File, stream: DeferredErrors, rows: int, differences: int) -> None:
        self._file, self._stream = file, stream
        self._expected = {"weights": rows - differences, "differences": differences}
        self._stored = dict.fromkeys(self._expected, 0)
        self.hashes: list[str] = []
        self.others_sha256 = ""

    @property
    def content(self) -> str:
        """A name for the weights and other tensors of the segment, and for how the weights are stored."""
        stored = [["differences", self._expected["differences"]]] if self._expected["differences"] else []
        return hash_of([*self.hashes, self.others_sha256, *stored])

    @property
    def whole(self) -> bool:
        """Whether all rows and the other tensors were stored."""
        return self._stored == self._expected and bool(self.others_sha256)

    def add(
        self, vector: NDArray[np.float32], base: NDArray[np.float32] | None = None
    ) -> tuple[int, NDArray[np.float32]]:
        """Store the next checkpoint, float32 [P], as differences from ``base`` where that is given.

        Returns its row among those of its kind, and the vector as it will be read.
        """
        vector = np.ascontiguousarray(vector, np.float32)
        kind = "weights" if base is None else "differences"
        row = self._stored[kind]
        if base is None:
            self._put("weights", row, self._expected[kind], vector)
        else:
            bits, units = differences.encode(vector, base)
            self._put("differences", row, self._expected[kind], bits)
            self._put("units", row, self._expected[kind], units)
            vector = np.empty_like(vector)
            differences.decode(bits, units, base, vector, 0)
        self._stream.raise_error()
        self._stored[kind] += 1
        self.hashes.append(hashlib.sha256(vector.data).hexdigest())
        return row, vector

    def _put(self, name: str, row: int, rows: int, values: NDArray[Any]) -> None:
        """Store a row of the dataset ``name``, which has ``rows`` of them."""
        if row == 0:
            chunks = (1, min(COLUMNS, values.size))
            self._file.create_dataset(name, (rows, values.size), values.dtype, chunks=chunks, track_times=False)
        self._file[name][row] = values

    def seal(self, tensors: Sequence[TensorEntry], others: Mapping[str, NDArray[Any]]) -> None:
        """Store the tensors that are not combined, and the names of format, version and content."""
        from lcsc import __version__

        self.others_sha256 = others_sha256(others)
        for place, entry in enumerate(tensors):
            if entry.role != "combined":
                value = others[entry.name]
                self._file.create_dataset(f"others/{place:05d}", data=value, track_times=False)
        version = VERSIONS[self._expected["differences"] > 0]
        attributes = {"format": FORMAT, "format_version": version, "lcsc_version": __version__}
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
def segment_writer(path: Path, rows: int, differences: int = 0) -> Iterator[SegmentWriter]:
    """A writer of ``rows`` checkpoints, ``differences`` of them stored as such, to the file ``path``."""
    with DeferredErrors(path) as stream, h5py.File(stream, "w", libver=("v110", "v110")) as file:
        yield SegmentWriter(file, stream, rows, differences)


@contextmanager
def opened(path: Path, segment: StoredSegment, parameters: int, differences: int = 0) -> Iterator[h5py.File]:
    """The segment's HDF5 file for reading; :class:`InputError` where it is not the one in the index."""
    again = "collect the bank again"
    try:
        file = h5py.File(path, "r", locking=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not found; expected a segment of the bank; {again}") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read as HDF5 ({reason_of(error)}); it may be truncated, {again}"
        ) from error
    with file:
        content = file.attrs.get("content")
        if content != segment.content:
            raise InputError(f"{path}: found content {content!r}, expected {segment.content!r} (index.json); {again}")
        for name, shape, dtype in _datasets(segment.rows - differences, differences, parameters):
            try:
                found = own_dataset(file, name)
            except ValueError:
                found = None
            if found is None or found.shape != shape or found.dtype != dtype:
                raise InputError(f"{path}: dataset {name!r} is not {np.dtype(dtype).name} {list(shape)}; {again}")
        yield file


def _datasets(whole: int, differences: int, parameters: int) -> list[tuple[str, tuple[int, int], type]]:
    """Names, shapes and types of the datasets of weights that a segment must have."""
    units = -(-parameters // COLUMNS)
    weights = [("weights", (whole, parameters), np.float32)] if whole else []
    halves = [("differences", (differences, parameters), np.uint16), ("units", (differences, units), np.float32)]
    return [*weights, *(halves if differences else [])]


def stored_rows(path: Path) -> int:
    """How many checkpoints the segment in ``path`` holds, whatever an index says; 0 where it is not a whole segment."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            if "content" not in file.attrs:
                return 0
            return sum(len(file[name]) for name in ("weights", "differences") if name in file)
    except OSError:
        return 0


def allow_open_files(folder: Path, count: int) -> None:
    """Raise this process's limit of open files where ``count`` more need it; :class:`InputError` if that fails."""
    wanted = count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise InputError(
                f"{folder}: found {count} segments, but a process may open {hard} files (ulimit -Hn); "
                "collect them into one: lcsc collect --folder BANK --output OTHER"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
