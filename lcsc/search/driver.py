"""Runs generations of a search: ask, score what the journal does not know, tell, write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcsc.errors import InputError, LcscError
from lcsc.evaluation import Score
from lcsc.files import hash_of
from lcsc.progress import Progress, logger
from lcsc.search.base import Candidate, Search
from lcsc.search.budget import EXHAUSTED, Budget
from lcsc.search.course import Course
from lcsc.search.generations import Generation, chain_paths, check_shapes, read_chain, remove_foreign, write_generation
from lcsc.search.journal import Journal
from lcsc.search.patience import REASON, StoppingScore

Done = Callable[[Score, bool], None]
# Reasons to stop that are no cause for worry.
EXPECTED = ("gradient", "decrease", "converged", "tried all", "no addition helps", "evaluations", REASON, *EXHAUSTED)
# Settings that end a search and change none of its candidates before.
_LIMITS = ("evaluations", "seconds", "stopping")
ScoreAll = Callable[[Sequence[Candidate], Journal, bool, Done], list[Score]]


@dataclass
class Tally:
    """What a round did: evaluations, those the journal knew and the seconds they had taken, and the best score.

    Candidates that were ``raced`` out are no evaluations.
    """

    evaluations: int = 0
    raced: int = 0
    known: int = 0
    known_seconds: float = 0.0
    known_shared_seconds: float = 0.0
    best: float | None = None
    failed: list[str] = field(default_factory=list)

    def count(self, score: Score, known: bool) -> None:
        """Add one score."""
        self.evaluations += score.raced is None
        self.raced += score.raced is not None
        self.known += known
        if known and score.gradient is not None:  # all workers made it together
            self.known_shared_seconds += score.seconds
        elif known:
            self.known_seconds += score.seconds
        if score.raced is not None:
            return
        if score.value is None:
            self.failed.append(score.reason or "no reason")
        elif self.best is None or score.value < self.best:
            self.best = score.value


def run_generations(
    search: Search,
    score_all: ScoreAll,
    folder: Path,
    *,
    first: int,
    count: int,
    about: Mapping[str, Any],
    budget: Budget | None = None,
    stopping: StoppingScore | None = None,
) -> Tally:
    """Run generations ``first`` to ``first + count - 1`` of ``search`` in ``folder``; the ones before must be there.

    ``score_all`` takes the candidates, the journal, whether gradients are wanted, and what to call for each score.
    ``about`` holds search, method, settings, protocol (its hash) and bank; a folder of others is refused. ``budget``
    is that of the settings by default; ``stopping`` scores on stopping noise where the settings ask for patience.
    """
    journal = open_journal(folder, about)
    course = resume(search, folder, first, about, budget, journal, stopping)
    for path in remove_foreign(folder, first, about):
        logger.warning("%s: made by another search (settings, protocol or bank), removed", path)
    tally = Tally(best=_best(course.history))
    progress = Progress("evaluations of this round", 0)
    for number in range(first, first + count):
        candidates = course.ask()
        _refuse_nothing_begun(course, number)
        progress.total = len(candidates) * (first + count - number) + progress.done
        scores = score_all(candidates, journal, course.wants_gradients, _counter(tally, progress, number))
        _refuse_all_failed(scores, number)
        if candidates:
            course.tell(candidates, scores)
        look = course.look if candidates else None
        write_generation(
            folder, number, candidates, scores, about=about, state=course.state, reason=course.reason, look=look
        )
    ended = course.reason or search.reason
    if ended is not None:
        tell = logger.info if ended in EXPECTED else logger.warning
        tell(
            "the search has stopped (%s) after %d evaluations", ended, _evaluations(course.history) + tally.evaluations
        )
    return tally


def resume(
    search: Search,
    folder: Path,
    first: int,
    about: Mapping[str, Any],
    budget: Budget | None = None,
    journal: Journal | None = None,
    stopping: StoppingScore | None = None,
) -> Course:
    """The course of ``search`` up to where it asks for generation ``first``; those before are read from ``folder``."""
    history = read_chain(chain_paths(folder, first), about)
    if history:
        check_shapes(chain_paths(folder, first)[-1], history[-1], search.space)
    return Course(search, budget or Budget.of(about["settings"]), history, journal, stopping)


def open_journal(folder: Path, about: Mapping[str, Any], writer: str = "") -> Journal:
    """The journal of the search in ``folder``, for one of several jobs where ``writer`` names it."""
    settings = about["settings"]
    # A candidate's place among others decides how its weights are rounded in the last bit, and the settings decide its
    # place; how long a search goes on does not.
    course = {key: value for key, value in settings.items() if key not in _LIMITS}
    fixed = [about["protocol"], about["bank"], course]
    return Journal(folder / "journal", hash_of(fixed), writer)


def _evaluations(history: Sequence[Generation]) -> int:
    return sum(item.raced is None for generation in history for item in generation.scored)


def _best(history: Sequence[Any]) -> float | None:
    scores = [item.score for generation in history for item in generation.scored if item.score is not None]
    return min(scores, default=None)


def _counter(tally: Tally, progress: Progress, number: int) -> Callable[[Score, bool], None]:
    lock = threading.Lock()

    def count(score: Score, known: bool) -> None:
        with lock:
            tally.count(score, known)
            best = "no score yet" if tally.best is None else f"best {tally.best:.4g}"
        progress.advance(note=f"generation {number} · {best}", free=known)

    return count


def _refuse_nothing_begun(course: Course, number: int) -> None:
    if number == 0 and course.reason is not None:
        raise InputError(
            f"searches: not even the first generation is within the budget ({course.reason}); raise it, or use null"
        )


def _refuse_all_failed(scores: Sequence[Score], number: int) -> None:
    if scores and number == 0 and all(score.value is None for score in scores):
        raise LcscError(
            f"generation {number}: no candidate could be scored ({scores[0].reason}); check the checkpoints and the "
            "generator's settings"
        )
