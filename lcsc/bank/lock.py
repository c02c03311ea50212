"""One writer for each bank: a lock on its folder that ends with the process."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lcsc.errors import InputError
from lcsc.files import make_folder, unwritable

_LOCK = ".lock"
logger = logging.getLogger("lcsc")


def locked(folder: Path, way_out: str) -> int | None:
    """The handle of a lock on ``folder``, which exists; None, with a warning, where the file system has no locks.

    Raises :class:`InputError`, which ends with ``way_out``, where another process holds it.
    """
    path = folder / _LOCK
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            _without(folder, error, way_out)
            return None
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)  # whoever held it before has removed the file since it was opened


def _without(folder: Path, error: OSError, way_out: str) -> None:
    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
        raise InputError(
            f"{folder}: another recorder appends to it, or a bank is collected there; {way_out}"
        ) from error
    reason = os.strerror(error.errno) if error.errno else str(error)
    logger.warning("%s: the file system has no locks (%s); see that nothing else writes to it", folder, reason)


def unlock(handle: int) -> None:
    """Let others write; closing alone would leave the lock to forked processes, such as a data loader's."""
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


@contextmanager
def collecting(folder: Path) -> Iterator[None]:
    """Keep recorders off ``folder``, made where there is none; :class:`InputError` where one appends to its bank.

    A folder of collected checkpoints keeps no file of the lock.
    """
    make_folder(folder)
    recorded = (folder / _LOCK).exists()
    handle = locked(folder, "collect into another folder")
    try:
        yield
    finally:
        if not recorded:
            (folder / _LOCK).unlink(missing_ok=True)
        if handle is not None:
            unlock(handle)
