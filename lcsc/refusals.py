"""Files that may be missing, damaged, foreign, or made to do harm: each ends in an error of one line that names it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lcsc.errors import InputError, reason_of

# What readers raise for files that are damaged, foreign, or made to do harm.
_DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError),
    *(MemoryError, OverflowError, RecursionError),
)
T = TypeVar("T")


def read_or_refuse(path: Path, read: Callable[[], T], *, what: str) -> T:
    """The result of ``read()``; an :class:`InputError` that names ``path`` where it cannot be read."""
    try:
        return read()
    except _DAMAGE as error:
        raise unreadable(path, error, what=what) from error


def unreadable(path: Path, error: Exception, *, what: str, way: str = "make it again") -> InputError:
    """The error of one line for an ``error`` met while ``path``, expected to be ``what``, was read.

    ``way`` is what to do about a file that is there but damaged.
    """
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return InputError(f"{path}: not found; expected {what}")
    if path.is_dir():
        return InputError(f"{path}: found a folder, expected {what}")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: cannot be read ({reason_of(error)}); expected {what}")
    return InputError(f"{path}: cannot be read as {what} ({reason_of(error)}); it may be truncated, {way}")


def inside(folder: Path, name: str, where: str) -> Path:
    """``folder / name`` for a ``name`` that stands in a file; :class:`InputError` where it leads out of the folder.

    ``where`` says in which file the name stands. Links are not followed: only the name is looked at.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise InputError(
            f"{where}: found the name {name!r}, expected one within the folder; the file was not made by lcsc"
        )
    return folder / name
