"""The course of a search: what it asks for next, and all that may end it, from inside or outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lcsc.evaluation import Score
from lcsc.search.base import Candidate, Scored, Search
from lcsc.search.budget import Budget
from lcsc.search.generations import Generation
from lcsc.search.journal import Journal


class Course:
    """A search within its budget, after the generations in ``history``.

    What ended it is written in the generation that was not begun, and holds for all after it: a course that goes on
    in another job does not decide again. ``journal`` knows the seconds of earlier scores.
    """

    def __init__(
        self, search: Search, budget: Budget, history: Sequence[Generation] = (), journal: Journal | None = None
    ) -> None:
        self.search, self.budget, self.history = search, budget, history
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
        if len(begun) < len(history):
            self.reason = history[-1].reason or "unknown"

    @property
    def wants_gradients(self) -> bool:
        """Whether the candidates of the next :meth:`ask` are to be scored with gradients."""
        return self.reason is None and self.search.wants_gradients

    def ask(self) -> list[Candidate]:
        """The candidates of the next generation; none once it has ended."""
        self.reason = self.reason or self.search.reason
        if self.reason is not None:
            return []
        with_gradients = self.search.wants_gradients
        candidates = self.search.ask()
        self.reason = self.budget.reason(len(candidates), with_gradients)
        return candidates if self.reason is None else []

    def tell(self, candidates: Sequence[Candidate], scores: Sequence[Score]) -> None:
        """Take the scores of the candidates last asked for."""
        self.search.tell([scored(c, s) for c, s in zip(candidates, scores, strict=True)])
        self.budget.spend(scores)
        self.state = self.search.state()


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
