"""Seconds of work: the processor's time by thread on the CPU, which other work does not lengthen; the clock on GPUs."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

TRIES = 3
JOB = "import lcsc.scoring, lcsc.collection, lcsc.search, lcsc.cli.settings"


@dataclass(frozen=True)
class Stopwatch:
    """Seconds of work, of the processor's time by thread on the CPU, of the clock on a GPU."""

    device: torch.device
    threads: int

    def __call__(self, work: Callable[[], object]) -> float:
        """The fewest seconds of a few tries, or of as many as a second holds."""
        found: list[float] = []
        began = time.monotonic()
        while not found or (len(found) < TRIES and time.monotonic() - began < 2 * TRIES):
            start = self._now()
            work()
            found.append(self._now() - start)
        return min(found)

    def _now(self) -> float:
        return time.process_time() / self.threads if self.device.type == "cpu" else time.perf_counter()

    def line(self, work: Callable[[int], object], few: int, many: int) -> tuple[float, float]:
        """(a, b) of the seconds a + b n that ``work`` of n takes, from two n."""
        work(few)  # what the first call prepares counts for nothing
        low, high = self(lambda: work(few)), self(lambda: work(many))
        slope = max((high - low) / (many - few), 1e-9)
        return max(low - slope * few, 0.0), slope


def begin_seconds() -> float:
    """A job's imports, which each job pays; the processor's time, as of everything here."""
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-c", JOB], check=True, capture_output=True)  # into the page cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", JOB], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
