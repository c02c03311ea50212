"""Timers that a program leaves behind."""

from __future__ import annotations

import threading


def cancel_timers() -> None:
    """Cancel every timer of this process that has not gone off.

    Python ends only when its timers have. Snakemake 9's scheduler starts one for each look at the jobs, of the span of
    ``max-jobs-per-timespan``, and leaves them: up to a minute in which nothing is done.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
