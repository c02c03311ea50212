"""Temporary files beside their target, held by a lock that ends with the process: those of killed ones are known.

Locks are on open files (flock): whoever can take the lock of a temporary file knows that its writer is gone, on another
node as well. On file systems without locks nothing is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

SUFFIX = ".part"
_written: ContextVar[list[Path] | None] = ContextVar("written", default=None)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """An empty file in the folder of ``target``, hidden, removed when the block ends if it still has its name.

    Temporary files of ``target`` whose writers were killed are removed first; those of living ones are left.
    """
    _remove_abandoned(target)
    handle, path = _created(target)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def temporary_folder_beside(target: Path) -> Iterator[Path]:
    """The same for an empty folder."""
    _remove_abandoned(target)
    path = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target), suffix=SUFFIX))
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _created(target: Path) -> tuple[int, Path]:
    """A locked temporary file and its path."""
    while True:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=SUFFIX)
        path = Path(name)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return handle, path
        os.close(handle)  # another process took it for abandoned before it was locked


def _remove_abandoned(target: Path) -> None:
    prefix = _prefix(target)
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX)]
    for name in names:
        _remove_if_abandoned(target.parent / name)


def _remove_if_abandoned(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile, not ours to remove, or locked by its writer
        handle = os.open(path, os.O_RDWR)  # NFS locks exclusively only what is open for writing
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        finally:
            os.close(handle)


def _prefix(target: Path) -> str:
    return f".{target.name}."


@contextmanager
def recording_writes() -> Iterator[list[Path]]:
    """The list of all files that take their places while the block runs."""
    written: list[Path] = []
    token = _written.set(written)
    try:
        yield written
    finally:
        _written.reset(token)


def record_writes(targets: Iterable[Path]) -> None:
    """Say to the block that asked for it which files have taken their places."""
    if (written := _written.get()) is not None:
        written.extend(targets)
