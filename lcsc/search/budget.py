"""What a search may use up in all: evaluations, gradients or seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lcsc.evaluation import Score
from lcsc.search.racing import Race

EXHAUSTED = ("evaluations used up", "gradients used up", "seconds used up")


@dataclass
class Budget:
    """Limits, None for none, and what is used up of them.

    Evaluations count every candidate, with or without a gradient; where candidates race, each counts by its images.
    Gradients count those that were found. Seconds are those that scoring took, as if ``workers`` had shared the
    scores without a gradient evenly. A generation that would go beyond the evaluations or gradients is not begun;
    the seconds end a search after the generation that used them up.
    """

    evaluations: int | None = None
    gradients: int | None = None
    seconds: float | None = None
    workers: int = 1
    race: Race | None = None
    used_evaluations: Fraction = Fraction(0)
    used_gradients: int = 0
    used_seconds: float = 0.0

    @classmethod
    def of(cls, settings: Mapping[str, Any], workers: int = 1, race: Race | None = None) -> Budget:
        """The budget that a search's ``settings`` give."""
        evaluations, gradients, seconds = (settings.get(key) for key in ("evaluations", "gradients", "seconds"))
        return cls(evaluations, gradients, seconds, workers, race)

    def spend(self, scores: Iterable[Score]) -> None:
        """Count the scores of a generation."""
        for score in scores:
            if self.race is not None:
                self.used_evaluations += self.race.heat
            self.used_evaluations += score.raced is None
            self.used_gradients += score.gradient is not None
            self.used_seconds += score.seconds / (self.workers if score.gradient is None else 1)

    def reason(self, candidates: int, with_gradients: bool) -> str | None:
        """Why a generation of ``candidates`` must not be begun, None where it may."""
        cost = self.race.cost(candidates) if self.race is not None else candidates
        if self.evaluations is not None and self.used_evaluations + cost > self.evaluations:
            return EXHAUSTED[0]
        if self.gradients is not None and with_gradients and self.used_gradients + candidates > self.gradients:
            return EXHAUSTED[1]
        if self.seconds is not None and self.used_seconds >= self.seconds:
            return EXHAUSTED[2]
        return None
