"""Runs generations of a search: ask, score what the journal does not know, tell, write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcsc.errors import LcscError
from lcsc.evaluation import Score
from lcsc.files import hash_of
from lcsc.progress import Progress, logger
from lcsc.search.base import Candidate, Scored, Search
from lcsc.search.generations import Generation, chain_paths, check_shapes, read_chain, remove_foreign, write_generation
from lcsc.search.journal import Journal

Done = Callable[[Score, bool], None]
ScoreAll = Callable[[Sequence[Candidate], Journal, bool, Done], list[Score]]


@dataclass
class Tally:
    """What a round did: evaluations, those the journal knew and the seconds they had taken, and the best score."""

    evaluations: int = 0
    known: int = 0
    known_seconds: float = 0.0
    known_shared_seconds: float = 0.0
    best: float | None = None
    failed: list[str] = field(default_factory=list)

    def count(self, score: Score, known: bool) -> None:
        """Add one score."""
        self.evaluations += 1
        self.known += known
        if known and score.gradient is not None:  # all workers made it together
            self.known_shared_seconds += score.seconds
        elif known:
            self.known_seconds += score.seconds
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
) -> Tally:
    """Run generations ``first`` to ``first + count - 1`` of ``search`` in ``folder``; the ones before must be there.

    ``score_all`` takes the candidates, the journal, whether gradients are wanted, and what to call for each score.
    ``about`` holds search, method, settings, protocol (its hash) and bank; a folder of others is refused.
    """
    history = read_chain(chain_paths(folder, first), about)
    for path in remove_foreign(folder, first, about):
        logger.warning("%s: made by another search (settings, protocol or bank), removed", path)
    if history:
        check_shapes(chain_paths(folder, first)[-1], history[-1], search.space)
        search.restore(history[-1].state, [generation.scored for generation in history])
    fixed = [about["protocol"], about["bank"], about["settings"].get("groups", "all")]
    journal = Journal(folder / "journal", hash_of(fixed))
    tally = Tally(best=_best(history))
    progress = Progress("evaluations of this round", 0)
    for number in range(first, first + count):
        candidates = [] if search.stopped else search.ask()
        progress.total = len(candidates) * (first + count - number) + progress.done
        scores = score_all(candidates, journal, search.wants_gradients, _counter(tally, progress, number))
        _refuse_all_failed(scores, number)
        if candidates:
            search.tell([Scored(c, s.value, s.gradient) for c, s in zip(candidates, scores, strict=True)])
        write_generation(folder, number, candidates, scores, about=about, state=search.state())
    if search.stopped:
        tell = logger.info if search.reason in ("gradient", "decrease") else logger.warning
        tell(
            "the search has stopped (%s) after %d evaluations", search.reason, _evaluations(history) + tally.evaluations
        )
    return tally


def _evaluations(history: Sequence[Generation]) -> int:
    return sum(len(generation.scored) for generation in history)


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


def _refuse_all_failed(scores: Sequence[Score], number: int) -> None:
    if scores and number == 0 and all(score.value is None for score in scores):
        raise LcscError(
            f"generation {number}: no candidate could be scored ({scores[0].reason}); check the checkpoints and the "
            "generator's settings"
        )
