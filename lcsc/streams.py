"""A file whose write errors wait until it is closed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any


class DeferredErrors:
    """A binary file for libraries that do not survive a failing write.

    HDF5 crashes the process at exit after a full disk, and torch hides the reason. Here the system's first
    error is kept, everything after it is thrown away, and the error is raised when the block ends (or by
    :meth:`raise_error` before). Whatever else went wrong in the block after the first error follows from it.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w+b", buffering=0)
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write all of ``content``; its length is returned whether or not that went well."""
        view = memoryview(content).cast("B")
        done = 0
        while self.error is None and done < len(view):
            try:
                done += self._stream.write(view[done:]) or 0
            except OSError as error:
                self.error = error
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; bytes that could not be written before come back as zeros."""
        view = memoryview(buffer).cast("B")
        found = self._stream.readinto(view) or 0
        if self.error is not None and found < len(view):
            view[found:] = bytes(len(view) - found)
            return len(view)
        return found

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes from the present position."""
        return self._stream.read(size) or b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as files do."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The position in the file."""
        return self._stream.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size."""
        try:
            return self._stream.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        """Nothing is held back here."""

    def raise_error(self) -> None:
        """Raise the first error of the system, if there was one."""
        if self.error is not None:
            raise self.error

    def __enter__(self) -> DeferredErrors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        if self.error is not None and error is not self.error:
            raise self.error
