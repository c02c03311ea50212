"""The course of a search: what it asks for next, and all that may end it, from inside or outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.evaluation import Score
from lcsc.search.base import Candidate, Scored, Search
from lcsc.search.budget import Budget
from lcsc.search.generations import Generation
from lcsc.search.journal import Journal
from lcsc.search.patience import Look, Patience, StoppingScore


class Course:
    """A search within its budget and the patience of its settings, after the generations in ``history``.

    What ended it is written in the generation that was not begun, and holds for all after it: a course that goes on
    in another job does not decide again. ``journal`` knows the seconds of earlier scores; ``stopping`` scores what
    patience looks at, where more generations are to be scored here.
    """

    def __init__(
        self,
        search: Search,
        budget: Budget,
        history: Sequence[Generation] = (),
        journal: Journal | None = None,
        stopping: StoppingScore | None = None,
    ) -> None:
        self.search, self.budget, self.history = search, budget, history
        self.look: Look | None = None
        """What patience saw after the last generation; None where it did not look."""
        self._patience, self._stopping = Patience.of(search.settings), stopping
        self._done = len(history)
        self.state: Mapping[str, Any] = search.state()
        """The search's state after the last generation that was scored."""
        self.reason: str | None = None
        """Why nothing more is asked for; None while it goes on."""
        begun = [generation for generation in history if generation.scored]
        if begun:
            search.restore(begun[-1].state, [generation.scored for generation in begun])
            self.state = begun[-1].state
        for generation in begun:
            budget.spend(_scores(generation, journal))
            self._see(generation.number, generation.scored, generation.look)
        if len(begun) < len(history):
            self.reason = history[-1].reason or "unknown"

    @property
    def wants_gradients(self) -> bool:
        """Whether the candidates of the next :meth:`ask` are to be scored with gradients."""
        return self.reason is None and self.search.wants_gradients

    def ask(self) -> list[Candidate]:
        """The candidates of the next generation; none once it has ended."""
        self.reason = self.reason or self.search.reason or (self._patience.reason if self._patience else None)
        if self.reason is not None:
            return []
        with_gradients = self.search.wants_gradients
        candidates = self.search.ask()
        self.reason = self.budget.reason(len(candidates), with_gradients)
        return candidates if self.reason is None else []

    def tell(self, candidates: Sequence[Candidate], scores: Sequence[Score]) -> None:
        """Take the scores of the candidates last asked for."""
        told = [scored(c, s) for c, s in zip(candidates, scores, strict=True)]
        self.search.tell(told)
        self.budget.spend(scores)
        self.state = self.search.state()
        self._see(self._done, told)
        self._done += 1

    def _see(self, number: int, told: Sequence[Scored], look: Look | None = None) -> None:
        """Show patience a generation, and the ``look`` at it, or take one where that is due."""
        self.look = look
        if self._patience is None:
            return
        self._patience.see(number, told)
        due = self._patience.due(number)
        if look is None and self._stopping is not None and due is not None:
            generation, place, item = due
            self.look = Look(generation, place, self._stopping(item.candidate).value)
        if self.look is not None:
            self._patience.take(self.look)


def scored(candidate: Candidate, score: Score) -> Scored:
    """A candidate with what a search may know of its score."""
    return Scored(candidate, score.value, score.gradient, score.raced)


def _scores(generation: Generation, journal: Journal | None) -> list[Score]:
    """The scores of an earlier generation, with the seconds that the journal knows."""
    found = []
    for item in generation.scored:
        known = None if journal is None else journal.get(item.candidate, with_gradient=item.gradient is not None)
        seconds = 0.0 if known is None else known.seconds
        found.append(Score(item.score, None, seconds, item.gradient, item.raced))
    return found
