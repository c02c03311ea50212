"""Searches driven by a formula, in a folder of generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.evaluation import Score
from lcsc.search import Candidate, Scored, Search, SearchSpace, make_search
from lcsc.search.driver import Tally, run_generations
from lcsc.search.generations import generation_path

Formula = Callable[[np.ndarray], float | None]


class FormulaScorer:
    """Scores by ``formula`` through the journal; a keyboard interrupt comes after ``stop_after`` calculations."""

    def __init__(self, formula: Formula, stop_after: int | None = None, seconds: float = 0.0) -> None:
        self.formula, self.stop_after, self.seconds, self.calculated = formula, stop_after, seconds, 0

    def __call__(self, candidates: Sequence[Candidate], journal: Any, gradients: bool, done: Any) -> list[Score]:
        return [self._score(candidate, journal, done) for candidate in candidates]

    def _score(self, candidate: Candidate, journal: Any, done: Any) -> Score:
        score = journal.get(candidate)
        known = score is not None
        if score is None:
            if self.calculated == self.stop_after:
                raise KeyboardInterrupt
            self.calculated += 1
            value = self.formula(candidate.coefficients)
            score = Score(value, None if value is not None else "not finite", self.seconds)
            journal.add(candidate, score)
        done(score, known)
        return score


def about(settings: dict[str, Any]) -> dict[str, Any]:
    method = settings["method"]
    return {"method": method, "search": method, "protocol": "p" * 64, "bank": "b", "settings": settings}


def run_rounds(
    folder: Path,
    settings: dict[str, Any],
    space: SearchSpace,
    scorer: FormulaScorer,
    rounds: Sequence[tuple[int, int]],
    **options: Any,
) -> Tally:
    """Each round with a search of its own, as jobs have."""
    for first, count in rounds:
        search = make_search(settings, space)
        tally = run_generations(search, scorer, folder, first=first, count=count, about=about(settings), **options)
    return tally


def content(folder: Path, count: int) -> list[bytes]:
    return [generation_path(folder, number).read_bytes() for number in range(count)]


def drive(search: Search, formula: Formula, generations: int) -> list[list[Scored]]:
    """The generations of ``search``, up to its end."""
    told = []
    while len(told) < generations and not search.stopped:
        scored = [Scored(candidate, formula(candidate.coefficients)) for candidate in search.ask()]
        search.tell(scored)
        told.append(scored)
    return told


def best(told: Sequence[Sequence[Scored]]) -> Scored:
    return min((item for generation in told for item in generation), key=lambda item: item.order)
