"""Files of pickled modules: read with stand-ins for their classes, and written again with other numbers in them.

A tensor's numbers stand in such a file as they do in memory. So the file of the same modules with other weights is a
copy with these bytes replaced: nothing else of it has to be understood, and nothing of it is executed.
"""

from __future__ import annotations

import io
import pickletools
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from lcsc.checkpoints.base import starts_with
from lcsc.checkpoints.inert_pickle import Unpickler
from lcsc.checkpoints.torch_files import check_archive
from lcsc.errors import InputError

_ALIGNMENT = 64  # torch.save begins each storage at a multiple of it, so that files can be mapped
_HEADER = 30  # bytes of a zip archive's local header before name and extra field
Storages = Mapping[int, torch.UntypedStorage]  # by their first byte in memory


class InertFile(Protocol):
    """The ``content`` of a file, with stand-ins for all objects of unknown classes."""

    content: Any

    def write(self, output: Path, changed: Storages) -> None:
        """Copy the file to ``output`` with the numbers that ``changed`` storages of its tensors have now."""


def read_inert(path: Path) -> InertFile:
    """Read a file of ``pickle.dump`` or ``torch.save``."""
    return _Archive(path) if starts_with(path, 2) == b"PK" else _Stream(path)


class _Archive:
    """A file of ``torch.save``: a zip archive with a record for each storage, which are mapped, not read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[int, str] = {}
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("constants.pkl") for name in names):  # it would be loaded as the program that it is
                raise InputError(f"{path}: found a TorchScript program, expected a pickled module: refused")
            pickled = next((name for name in names if name.endswith("data.pkl")), None)
            if pickled is None:
                raise InputError(f"{path}: found a zip archive without data.pkl, expected a file of torch.save")
            self._root = pickled.removesuffix("data.pkl")
            if f"{self._root}byteorder" in names and archive.read(f"{self._root}byteorder") != b"little":
                raise InputError(f"{path}: found numbers of big-endian byte order, expected little-endian")
            self.content = self._unpickled(archive.read(pickled), archive)

    def _unpickled(self, content: bytes, archive: zipfile.ZipFile) -> Any:
        mapped = torch.UntypedStorage.from_file(str(self._path), False, self._path.stat().st_size)
        unpickler = Unpickler(io.BytesIO(content))

        def storage(identity: tuple[Any, ...]) -> Any:
            _, dtype, key, *_ = identity
            entry = archive.getinfo(f"{self._root}data/{key}")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise InputError(f"{self._path}: found a compressed storage, expected a file of torch.save")
            start = self._start(entry)
            part = mapped[start : start + entry.file_size]
            self._records[part.data_ptr()] = entry.filename
            return torch.storage.TypedStorage(wrap_storage=part, dtype=dtype, _internal=True)  # type: ignore[no-untyped-call]

        unpickler.persistent_load = storage  # type: ignore[method-assign]
        return unpickler.load()

    def _start(self, entry: zipfile.ZipInfo) -> int:
        with self._path.open("rb") as stream:
            stream.seek(entry.header_offset)
            name, extra = struct.unpack("<HH", stream.read(_HEADER)[-4:])
        return entry.header_offset + _HEADER + int(name) + int(extra)

    def write(self, output: Path, changed: Storages) -> None:
        records = {self._records[first]: storage for first, storage in changed.items() if storage.nbytes()}
        with zipfile.ZipFile(self._path) as old, output.open("wb") as stream, zipfile.ZipFile(stream, "w") as new:
            for entry in old.infolist():
                name = entry.filename
                content = bytes(_view(records[name])) if name in records else old.read(entry)
                room = -(stream.tell() + _HEADER + len(name.encode()) + 4) % _ALIGNMENT
                copy = zipfile.ZipInfo(name, entry.date_time)
                copy.extra = struct.pack("<2sH", b"FB", room) + bytes(room)
                new.writestr(copy, content)


class _Stream(Unpickler):
    """A file of ``pickle.dump``, in which each storage is the bytes of a file of its own, its numbers last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[int, int, int]] = []
        with path.open("rb") as stream:
            super().__init__(stream)
            self.content = self.load()

    def storage_of(self, content: bytes) -> Any:
        storage = super().storage_of(content)
        self._found.append((storage._untyped_storage.data_ptr(), len(content), zlib.crc32(content)))
        return storage

    def write(self, output: Path, changed: Storages) -> None:
        ends = dict(self._ends())
        shutil.copyfile(self._path, output)
        with output.open("r+b") as stream:
            for first, storage in changed.items():
                stream.seek(ends[first] - storage.nbytes())
                stream.write(_view(storage))

    def _ends(self) -> Iterator[tuple[int, int]]:
        """For each storage its first byte in memory and its end in the file: both come in the order of the pickle."""
        waiting = iter(self._found)
        first, length, checksum = next(waiting, (0, -1, 0))
        with self._path.open("rb") as stream:
            for _, value, _ in pickletools.genops(stream):
                if isinstance(value, bytes) and len(value) == length and zlib.crc32(value) == checksum:
                    yield first, stream.tell()
                    first, length, checksum = next(waiting, (0, -1, 0))


def _view(storage: torch.UntypedStorage) -> memoryview:
    numbers = torch.empty(0, dtype=torch.uint8).set_(storage)
    view: memoryview = numbers.numpy().data
    return view
