"""Files that are never half written, and hashes that name what is in them."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lcsc.errors import InputError, LcscError, reason_of
from lcsc.refusals import read_or_refuse
from lcsc.temporary import record_writes, temporary_beside, temporary_folder_beside

HASH_BLOCK = 1 << 22
_REPLACED = ".replaced"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Version 2 of a record ends with a checksum of itself.
VERSIONS = (1, 2)
CHECKSUM = "record_sha256"


@contextmanager
def replacing(target: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that takes its place when the block ends well.

    The file is flushed to disk before it is renamed, so ``target`` is at any moment either what was there
    before or the whole new file. Where the block fails, the temporary file is removed and ``target`` is left
    untouched; what a killed process left of its own is removed, too. Every error of the system (a full disk, a folder
    that cannot be written) becomes an :class:`LcscError` that names ``target``.
    """
    target = Path(target)
    temporary: Path | None = None
    try:
        _make_folder(target.parent)
        if target.is_dir():  # said before the work rather than after it
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with temporary_beside(target) as temporary:
            yield temporary
            _flush(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
            record_writes([target])
    except OSError as error:
        raise unwritable(target, error, ours=temporary) from error


@contextmanager
def replacing_folder(target: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside ``target`` that takes its place when the block ends well.

    An earlier ``target`` is replaced where it holds no other files than the new one: nobody's files are removed.
    Raises :class:`InputError` where it does; errors of the system are those of :func:`replacing`.
    """
    target = Path(target)
    temporary: Path | None = None
    try:
        _make_folder(target.parent)
        with temporary_folder_beside(target) as temporary:
            yield temporary
            _require_no_others(target, temporary)
            temporary.chmod(0o777 & ~_umask())
            if target.is_dir():
                target.replace(temporary / _REPLACED)
            temporary.replace(target)
            shutil.rmtree(target / _REPLACED, ignore_errors=True)
            record_writes(path for path in target.rglob("*") if path.is_file())
    except OSError as error:
        raise unwritable(target, error, ours=temporary) from error


def _require_no_others(target: Path, new: Path) -> None:
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target))
    others = {path.name for path in target.iterdir()} - {path.name for path in new.iterdir()} if target.exists() else ()
    if others:
        raise InputError(f"{target}: found {min(others)!r} in it, expected an empty folder; choose another folder")


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it; :class:`LcscError` where that is not possible."""
    try:
        _make_folder(folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file of this name
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def remove(path: Path) -> None:
    """Remove a file where there is one; an :class:`LcscError` that names it where the system does not let it go."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LcscError(f"{path}: cannot be removed ({reason_of(error)}); choose another folder") from error


def unwritable(target: Path, error: OSError, ours: Path | None = None) -> LcscError:
    """The error of one line for an ``error`` of the system while ``target`` was written, under the name ``ours``."""
    reason = reason_of(error)
    other = error.filename is not None and Path(os.fsdecode(error.filename)) not in (target, target.parent, ours)
    if other and error.strerror:
        reason = f"{reason}: {os.fsdecode(error.filename)}"
    way = "free space or choose another folder" if error.errno in _FULL else "choose another folder"
    return LcscError(f"{target}: cannot be written ({reason}); {way}")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(target: Path | str, content: bytes) -> None:
    """Write ``content`` to ``target`` whole or not at all."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path | str, content: str) -> None:
    """Write ``content`` as UTF-8 to ``target`` whole or not at all."""
    write_bytes(target, content.encode())


def canonical_json(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys, the same text for the same value; NaN and infinities are refused.

    Floats are written in the shortest form that reads back as the same float64.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, sort_keys=True, indent=indent, separators=separators, allow_nan=False, ensure_ascii=False)


def number_or_none(value: float) -> float | None:
    """``value`` as JSON can hold it: None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def write_json(target: Path | str, value: Any, *, kind: str, indent: int | None = 1) -> None:
    """Write a record with its format's name, version, the package version and a checksum to ``target``.

    ``kind`` is the format's name, such as ``generation``; ``value`` is a mapping.
    """
    from lcsc import __version__

    record = {"format": f"lcsc-{kind}", "format_version": VERSIONS[-1], "lcsc_version": __version__, **value}
    record[CHECKSUM] = record_checksum(record)
    write_text(target, canonical_json(record, indent) + "\n")


def record_checksum(record: Mapping[str, Any]) -> str:
    """Hexadecimal sha256 of all that a record says besides its checksum, as it is read from its file."""
    text = canonical_json({key: value for key, value in record.items() if key != CHECKSUM})
    return hash_of(json.loads(text))  # keys that are numbers become texts, which sort otherwise


def read_json(path: Path | str, *, kind: str) -> dict[str, Any]:
    """Read a record that :func:`write_json` wrote.

    Raises :class:`InputError` where the file is missing, is no JSON, holds another kind of record, or was changed
    since. Records of the first version have no checksum.
    """
    record = parse_json(Path(path), read_text(path, kind=kind), kind=kind, versions=VERSIONS)
    found = record.pop(CHECKSUM, None)
    if (found or record["format_version"] == VERSIONS[-1]) and not _has_checksum(record, found):
        raise InputError(f"{path}: its content does not match its checksum; it was changed, make it again")
    return record


def _has_checksum(record: Mapping[str, Any], checksum: Any) -> bool:
    """Whether ``checksum`` is that of ``record``; never where a number is infinite or a text no text."""
    try:
        return bool(checksum == record_checksum(record))
    except ValueError:
        return False


def read_text(path: Path | str, *, kind: str) -> str:
    """The text of the file of a record, for :func:`parse_json`: one reading, whatever replaces the file meanwhile.

    Line ends are those of the file: one that was changed must not be taken for another.
    """
    path = Path(path)
    return read_or_refuse(path, lambda: path.read_bytes().decode("utf-8"), what=f"an lcsc-{kind} file")


def parse_json(path: Path, text: str, *, kind: str, versions: Sequence[int]) -> dict[str, Any]:
    """The record in ``text``, which was read from ``path``; see :func:`read_json`."""
    record = read_or_refuse(path, lambda: json.loads(text), what=f"an lcsc-{kind} file")
    found = record.get("format") if isinstance(record, dict) else type(record).__name__
    if found != f"lcsc-{kind}":
        raise InputError(f"{path}: found format {found!r}, expected 'lcsc-{kind}'; give the file that this step made")
    if record.get("format_version") not in versions:
        expected = " or ".join(map(str, versions))
        raise InputError(f"{path}: format version {record.get('format_version')!r}, expected {expected}; update lcsc")
    return dict(record)


def sha256_of(path: Path | str) -> str:
    """Hexadecimal sha256 of a file's content, read in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_of(value: Any) -> str:
    """Hexadecimal sha256 of a JSON value in canonical form."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
