"""The best score of searches so far after so much work, from their generations and journals."""

from __future__ import annotations

from dataclasses import dataclass

from lcsc.errors import InputError
from lcsc.paper.records import RunRecords
from lcsc.search.generations import read_chain
from lcsc.traces.trace import Seconds, gradient_cost, moments

WORK = ("evaluations", "seconds")  # a gradient counts as the evaluations that are made in its time


@dataclass(frozen=True)
class Course:
    """The best score so far of a search of a run after each candidate, and the work until then."""

    run: str
    method: str
    protocol: str
    scores: tuple[float, ...]
    evaluations: tuple[float, ...]
    seconds: tuple[float, ...]

    def work(self, by: str) -> tuple[float, ...]:
        """Work in ``evaluations`` or ``seconds``."""
        return self.evaluations if by == "evaluations" else self.seconds

    def reached(self, score: float, by: str) -> float | None:
        """The work after which the best was at or below ``score``; None where it never was."""
        found = (work for work, best in zip(self.work(by), self.scores, strict=True) if best <= score)
        return next(found, None)


def course_of(run: RunRecords, method: str) -> Course:
    """The course of the search ``method`` of ``run``.

    Raises :class:`InputError` where its journal is gone, which knows the seconds, or where its noise was fresh at each
    candidate: the lowest of such scores is the luckiest.
    """
    folder = run.folder / "search" / method
    paths = sorted(folder.glob("generation-[0-9]*.json"))
    if not paths:
        raise InputError(f"{folder}: found no generations, expected those of a search; make the run again")
    generations = read_chain(paths)
    if any(item.candidate.iteration for generation in generations for item in generation.scored):
        raise InputError(f"figures: search {method!r} of {run.folder.name!r}: found fresh noise, expected fixed noise")
    images, workers = int(run.about["searches"][method]), run.workers(method)
    seconds = Seconds(folder, generations[0].about, images)
    found = moments(generations, seconds, workers, images)
    cost = gradient_cost(generations, seconds, workers) or 0.0
    return Course(
        run=run.folder.name,
        method=method,
        protocol=generations[0].protocol,
        scores=tuple(float(moment.item.order) for moment in found),
        evaluations=tuple(moment.work.equivalents(cost) for moment in found),
        seconds=tuple(moment.work.seconds for moment in found),
    )
