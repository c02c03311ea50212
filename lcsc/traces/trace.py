"""The course of a search: which candidate was its best after so much work, and what that work was.

Work is counted in evaluations of the search's images: one for each candidate by value, the part of one that a heat
scores, and ``cost`` for each gradient, which is measured: the seconds of a gradient, which all workers make together,
over those of an evaluation, of which each worker makes one. Looks on stopping noise are work, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lcsc.errors import InputError
from lcsc.raced_scoring import heat_journal
from lcsc.search.base import Candidate, Scored
from lcsc.search.driver import open_journal
from lcsc.search.generations import Generation
from lcsc.search.racing import Race

# An amount of work at which a search is always seen, whatever its points: a tenth of the usual 1,500 evaluations.
ALSO = (150.0,)


@dataclass(frozen=True)
class Work:
    """Evaluations without a gradient, gradients with their value, and seconds of scoring."""

    evaluations: float = 0.0
    gradients: int = 0
    seconds: float = 0.0

    def plus(self, evaluations: float, gradients: int, seconds: float) -> Work:
        """This work and more."""
        return Work(self.evaluations + evaluations, self.gradients + gradients, self.seconds + seconds)

    def equivalents(self, cost: float) -> float:
        """The work in evaluations, where a gradient costs ``cost`` of them."""
        return self.evaluations + cost * self.gradients


@dataclass(frozen=True)
class Moment:
    """The search's best (generation, place in it, candidate) after ``work``."""

    work: Work
    generation: int
    place: int
    item: Scored


class Seconds:
    """What each score of a search took, from its journals; ``images`` are those of a score.

    Raises :class:`InputError` where a candidate is in none: journals are no declared output, and may be removed.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], images: int) -> None:
        if not (folder / "journal").is_dir():
            raise InputError(
                f"{folder / 'journal'}: not found, expected the search's journal, which stays where the search ran and "
                "which no storage brings back; make traces there, or run the search again"
            )
        self.folder, self.race = folder, Race.of(about["settings"], images)
        self._scores = open_journal(folder, about)
        self._heats = None if self.race is None else heat_journal(folder / "journal", about, self.race)
        known = [self._scores.path] + ([] if self._heats is None else [self._heats.path])
        self._looks = _other_seconds(folder / "journal", {path.name.split(".")[0] for path in known})

    def of_score(self, item: Scored) -> float:
        """Of the candidate's score on all images."""
        wanted = item.gradient is not None
        found = self._scores.get(item.candidate, wanted) or self._scores.get(item.candidate, not wanted)
        return self._known(None if found is None else found.seconds)

    def of_heat(self, candidate: Candidate) -> float:
        """Of its heat."""
        found = None if self._heats is None else self._heats.get(candidate)
        return self._known(None if found is None else found.seconds)

    def of_look(self, candidate: Candidate) -> float:
        """Of a look at it on stopping noise."""
        return self._known(self._looks.get(candidate.fingerprint))

    def _known(self, seconds: float | None) -> float:
        if seconds is None:
            raise InputError(f"{self.folder / 'journal'}: lacks a score of the search; run the search again")
        return seconds


def _other_seconds(folder: Path, known: set[str]) -> dict[str, float]:
    """Seconds by fingerprint in the journals that are not among ``known``: that of stopping noise."""
    found = {}
    for path in sorted(folder.glob("*.jsonl")):
        if path.name.split(".")[0] in known:
            continue
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                found[str(record["candidate"])] = float(record["seconds"])
            except (ValueError, KeyError, TypeError):  # a damaged line counts as not there
                continue
    return found


def moments(generations: Sequence[Generation], seconds: Seconds, workers: int, images: int) -> list[Moment]:
    """The best so far after each candidate, from the first that has a score on.

    It is the candidate of lowest search score; on fresh noise, where the lowest is the luckiest, the last one.
    """
    found: list[Moment] = []
    work, best = Work(), None
    for generation in generations:
        for place, item in enumerate(generation.scored):
            work = after(work, item, seconds, workers)
            if item.score is not None and (best is None or item.candidate.iteration or item.order < best.item.order):
                best = Moment(work, generation.number, place, item)
            if best is not None:
                found.append(replace(best, work=work))
        if generation.look is not None:
            work = looked(work, generations, generation, seconds, workers, images)
            found[-1:] = [replace(found[-1], work=work)]
    if not found:
        raise InputError(f"{seconds.folder}: no candidate has a score, expected at least one; run the search again")
    return found


def after(work: Work, item: Scored, seconds: Seconds, workers: int) -> Work:
    """The work after ``item`` was scored, or left out after its heat."""
    if seconds.race is not None:
        work = work.plus(float(seconds.race.heat), 0, seconds.of_heat(item.candidate) / workers)
    if item.raced is not None or (seconds.race is not None and item.score is None):
        return work
    if item.gradient is not None:
        return work.plus(0, 1, seconds.of_score(item))
    return work.plus(1, 0, seconds.of_score(item) / workers)


def looked(
    work: Work, generations: Sequence[Generation], seen: Generation, seconds: Seconds, workers: int, images: int
) -> Work:
    """After a look: one evaluation of the images it takes, which no other shares the time with."""
    assert seen.look is not None
    candidate = generations[seen.look.generation].scored[seen.look.candidate].candidate
    wanted = (seen.settings.get("stopping") or {}).get("images") or images
    return work.plus(int(wanted) / images, 0, seconds.of_look(candidate))


def gradient_cost(generations: Sequence[Generation], seconds: Seconds, workers: int) -> float | None:
    """What a gradient costs in evaluations of as many images; None where the search takes none.

    Medians of its own scores: a search along gradients scores its averages by value first.
    """
    items = [item for generation in generations for item in generation.scored if item.raced is None]
    with_gradient = [seconds.of_score(item) for item in items if item.gradient is not None]
    by_value = [seconds.of_score(item) for item in items if item.gradient is None and item.score is not None]
    if not with_gradient:
        return None
    if not by_value or not median(by_value) or not median(with_gradient):
        raise InputError(
            f"{seconds.folder / 'journal'}: found no seconds of gradients and of scores by value, expected both to "
            "know what a gradient costs; run the search in one job (shards: 1)"
        )
    return median(with_gradient) * workers / median(by_value)


def amounts(first: float, last: float, points: int, also: Sequence[float] = ALSO) -> list[float]:
    """``points`` amounts of work from ``first`` to ``last``, evenly in their logarithm, and those of ``also`` between.

    Ends are exact.
    """
    spaced = np.geomspace(first, last, max(points, 2)).tolist()[1:-1] if last > first else []
    between = [value for value in also if first < value < last]
    return sorted({first, *spaced, *between, last})


def seen_at(found: Sequence[Moment], wanted: Sequence[float], cost: float) -> Iterator[Moment]:
    """The last moment within each amount of work, each once; ``wanted`` rises from the work of some moment on."""
    works = [moment.work.equivalents(cost) for moment in found]
    places = [int(np.searchsorted(works, amount * (1 + 1e-12), side="right")) - 1 for amount in wanted]
    for place in sorted({place for place in places if place >= 0}):
        yield found[place]


def improvements(found: Sequence[Moment]) -> list[Moment]:
    """The moments at which the best changed."""
    kept: list[Moment] = []
    for moment in found:
        if not kept or (moment.generation, moment.place) != (kept[-1].generation, kept[-1].place):
            kept.append(moment)
    return kept
