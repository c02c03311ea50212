"""Ends a search that no longer gains on noise of its own: its incumbent is scored on ``stopping`` noise now and then.

A search lowers its score on its own noise to the end; on other noise it stops gaining, or loses again, much earlier
(Prechelt 1998, "Early Stopping – But When?").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcsc.evaluation import Score
from lcsc.search.base import Candidate, Scored
from lcsc.search.journal import Journal

REASON = "patience"
StoppingScore = Callable[[Candidate], Score]


@dataclass(frozen=True)
class Look:
    """What was seen after a generation: the incumbent, by generation and place, and its score on ``stopping`` noise."""

    generation: int
    candidate: int
    score: float | None

    def record(self) -> dict[str, Any]:
        """The look as JSON holds it."""
        return {"generation": self.generation, "candidate": self.candidate, "score": self.score}


class Patience:
    """Looks at the incumbent after every ``every`` generations; ``patience`` looks without a gain end the search.

    The incumbent is the candidate of lowest score so far; where candidates are scored on fresh noise, which makes the
    lowest score the luckiest, it is the last one.
    """

    def __init__(self, every: int, patience: int) -> None:
        self.every, self.patience = every, patience
        self._incumbent: tuple[int, int, Scored] | None = None
        self._best, self._waited = math.inf, 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Patience | None:
        """The patience that a search's ``settings`` give under ``stopping``; None without."""
        found = settings.get("stopping")
        return None if found is None else cls(int(found["every"]), int(found["patience"]))

    @property
    def reason(self) -> str | None:
        """Why the search should end; None while it may go on."""
        return REASON if self._waited >= self.patience else None

    def see(self, generation: int, scored: Sequence[Scored]) -> None:
        """Take the candidates of a generation."""
        for place, item in enumerate(scored):
            if item.score is None:
                continue
            if self._incumbent is None or item.candidate.iteration or item.order < self._incumbent[2].order:
                self._incumbent = (generation, place, item)

    def due(self, generation: int) -> tuple[int, int, Scored] | None:
        """The incumbent (generation, place in it, candidate) where it is to be looked at after ``generation``.

        The start points, generation 0, are looked at, too.
        """
        return self._incumbent if generation % self.every == 0 else None

    def take(self, look: Look) -> None:
        """Count a look."""
        if look.score is not None and look.score < self._best:
            self._best, self._waited = look.score, 0
        else:
            self._waited += 1


@dataclass(frozen=True)
class JournaledStopping:
    """Scores on ``stopping`` noise, kept in a journal of their own so that a killed job makes none twice."""

    score: StoppingScore
    journal: Journal

    def __call__(self, candidate: Candidate) -> Score:
        """The score of ``candidate``."""
        known = self.journal.get(candidate)
        if known is not None:
            return known
        found = self.score(candidate)
        self.journal.add(candidate, found)
        return found
