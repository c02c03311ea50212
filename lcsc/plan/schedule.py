"""How long jobs take together on a number of slots: cores of a machine, or GPUs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A job of ``seconds`` on ``width`` slots at once, that begins when those named in ``after`` have ended."""

    name: str
    seconds: float
    width: int = 1
    after: tuple[str, ...] = ()


def makespan(jobs: Sequence[Job], slots: int) -> float:
    """Seconds until all ``jobs`` are done, each started as soon as it can be, the earlier in the list the sooner.

    Graham's (1966) list schedule. A job that is wider than the machine takes all of it, as Snakemake does.
    """
    waiting, ended = list(jobs), set[str]()
    running: list[tuple[float, int, str, int]] = []
    free, now = slots, 0.0
    while waiting or running:
        for job in list(waiting):
            width = min(job.width, slots)
            if width <= free and ended.issuperset(job.after):
                waiting.remove(job)
                free -= width
                heapq.heappush(running, (now + job.seconds, len(waiting), job.name, width))
        if not running:
            raise ValueError(f"jobs that nothing can begin: {', '.join(job.name for job in waiting)}")
        now, _, name, width = heapq.heappop(running)
        free += width
        ended.add(name)
    return now
