"""``.npz`` files piece by piece: written as they come, mapped into memory when they are read."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lcsc.bounds import check_unpacked
from lcsc.errors import InputError
from lcsc.files import replacing
from lcsc.refusals import read_or_refuse

# Every zip entry carries this date, so that the bytes of a part do not depend on when it was made.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
BLOCK = 1 << 20
# What a compressed array may take in memory: a small file can unpack to anything.
MOST_COMPRESSED = 8 << 30
T = TypeVar("T")


def write_arrays(
    path: Path,
    pieces: tuple[str, Iterable[NDArray[np.uint8]], tuple[int, ...]],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write ``arrays`` by name to ``path``, and before them bytes that come in pieces (name, pieces, whole shape)."""
    name, parts, shape = pieces
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        entry = zipfile.ZipInfo(f"{name}.npy", ZIP_DATE)
        entry.file_size = len(header.getvalue()) + int(np.prod(shape))  # whether zip64 is needed
        with archive.open(entry, "w") as stream:
            stream.write(header.getvalue())
            for piece in parts:
                stream.write(np.ascontiguousarray(piece).data)
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_DATE), content.getvalue())


def read_arrays(path: Path, what: str, but: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The arrays of ``path`` by name; of those in ``but`` the bytes are checked, and the array that stands is empty."""

    def read(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in but:
                arrays[name] = _array(path, name, archive)
                continue
            with archive.open(f"{name}.npy") as stream:
                while stream.read(BLOCK):  # at the end zipfile compares the checksum
                    pass
            arrays[name] = np.empty(0)
        return arrays

    return _from_zip(path, what, read)


def mapped(path: Path, name: str, what: str) -> NDArray[Any]:
    """The array ``name`` of ``path``, mapped into memory; read where it is compressed."""

    def read(archive: zipfile.ZipFile) -> NDArray[Any]:
        entry = archive.getinfo(f"{name}.npy")
        if entry.compress_type != zipfile.ZIP_STORED:
            return _array(path, name, archive)
        with archive.open(entry) as stream:
            shape, fortran, dtype = _header(stream, name, entry)
            header = stream.tell()
        if not math.prod(shape):
            return np.empty(shape, dtype)
        offset = _data_offset(path, entry) + header
        array: NDArray[Any] = np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
        return array

    return _from_zip(path, what, read)


def names_in(path: Path, what: str) -> list[str]:
    """The names of the arrays of ``path``."""
    return _from_zip(path, what, lambda archive: [name.removesuffix(".npy") for name in archive.namelist()])


def _from_zip(path: Path, what: str, read: Callable[[zipfile.ZipFile], T]) -> T:
    def opened() -> T:
        try:
            with path.open("rb") as stream:
                if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                    raise ValueError("found one array without a name")
            with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
                return read(archive)
        # NotImplementedError is what zipfile raises for a compression that it does not know.
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
            raise ValueError(str(error) or "not a zip archive") from error

    return read_or_refuse(path, opened, what=what)


def _array(path: Path, name: str, archive: zipfile.ZipFile) -> NDArray[Any]:
    """An array that is read whole, once it is known that its file holds so much."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        if entry.file_size > MOST_COMPRESSED:
            raise InputError(
                f"{path}: array {name!r} unpacks to {entry.file_size >> 30} GiB, expected at most "
                f"{MOST_COMPRESSED >> 30}; save it without compression (numpy.savez)"
            )
        check_unpacked(f"{path}: array {name!r}", entry.file_size, entry.compress_size)
    with archive.open(entry) as stream:
        _header(stream, name, entry)
    with archive.open(entry) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _header(stream: IO[bytes], name: str, entry: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, Fortran order, dtype) of the array that begins here, which the ``entry`` of the archive must hold."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"NumPy format version {version}")
    shape, fortran, dtype = read[version](stream)
    if dtype.hasobject:
        raise ValueError(f"array {name!r} holds Python objects")
    # Python's own product: NumPy's wraps around, and a huge shape would look small.
    if min(shape, default=0) < 0 or stream.tell() + dtype.itemsize * math.prod(shape) > entry.file_size:
        raise ValueError(f"array {name!r} is shorter than its shape {list(shape)}")
    return shape, bool(fortran), dtype


def _data_offset(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored ``entry`` begin: behind its own header, whose length stands in it."""
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        name, extra = struct.unpack("<26xHH", stream.read(30))
    return entry.header_offset + 30 + int(name) + int(extra)


def mapped_npy(path: Path, what: str) -> NDArray[Any]:
    """The array of an ``.npy`` file, mapped into memory."""

    def read() -> NDArray[Any]:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        return array

    return read_or_refuse(path, read, what=what)
