"""Progress of a step: plain lines with an ETA on the terminal, everything in the step's log file.

Jobs of a workflow share one terminal, so a step prints whole lines, seldom, each with its own name, and never
moves the cursor.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from lcsc.errors import LcscError

logger = logging.getLogger("lcsc")


def set_up_logging(name: str, log_file: Path | None, quiet: bool = False) -> None:
    """Send log records to the terminal (stderr), and with times and levels to ``log_file`` where one is given."""
    close_logging()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING if quiet else logging.INFO)
    terminal.setFormatter(logging.Formatter(f"[{name}] %(message)s"))
    logger.addHandler(terminal)
    if log_file is not None:
        try:
            log_file.parent.mkdir(parents=True, exist_ok=True)
            to_file = _LogFile(log_file, mode="w", encoding="utf-8")
        except OSError as error:
            raise LcscError(f"{log_file}: cannot be written ({error.strerror}); choose another --log") from error
        to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(to_file)


class _LogFile(logging.FileHandler):
    """A log whose disk may become full: lines are lost then, and the work goes on or ends with an error of its own."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name in logging)
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def close_logging() -> None:
    """Close the log file and stop printing."""
    while logger.handlers:
        handler = logger.handlers[0]
        logger.removeHandler(handler)
        handler.close()


class Progress:
    """Counts units of work up to ``total`` and prints a line with an ETA at most every ``every`` seconds."""

    def __init__(self, what: str, total: int, every: float = 5.0) -> None:
        self.what, self.total, self.every = what, total, every
        self.done = 0
        self._began = self._printed = time.monotonic()
        self._free = 0
        self._lock = threading.Lock()

    def advance(self, units: int = 1, note: str = "", free: bool = False) -> None:
        """Count ``units`` as done; ``free`` units cost no time (read from a journal) and do not shape the ETA."""
        with self._lock:
            self.done += units
            self._free += units if free else 0
            now = time.monotonic()
            if now - self._printed >= self.every or self.done >= self.total:
                self._printed = now
                logger.info(self.line(now, note))

    def line(self, now: float, note: str = "") -> str:
        """The progress line at time ``now`` (of ``time.monotonic``)."""
        paid, elapsed = self.done - self._free, max(now - self._began, 0.0)
        left = elapsed / paid * max(self.total - self.done, 0) if paid else 0.0
        when = f"ETA {clock(left)}" if self.done < self.total else f"took {clock(elapsed)}"
        share = f"{100 * self.done / max(self.total, 1):.0f}%"
        return " · ".join(part for part in (f"{self.what} {self.done}/{self.total} ({share})", note, when) if part)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss``, or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
