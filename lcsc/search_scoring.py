"""Scores a search's candidates, by value or with the exact gradient in their coefficients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lcsc.combination import combine
from lcsc.combination_gradient import coefficient_gradient
from lcsc.evaluation import Evaluator, Score
from lcsc.gradients import GradientEvaluator
from lcsc.groups import Groups
from lcsc.scoring import Context, score_candidates
from lcsc.search.base import Candidate
from lcsc.search.journal import Journal

Done = Callable[[Score, bool], None]


@dataclass(frozen=True)
class SearchScoring:
    """What a search calls with its candidates; their rows of coefficients belong to ``groups``."""

    context: Context
    evaluator: Evaluator
    groups: Groups

    def __call__(
        self, candidates: Sequence[Candidate], journal: Journal, with_gradients: bool, done: Done
    ) -> list[Score]:
        """The scores of ``candidates``, with gradients in their coefficients where they are wanted."""
        if not with_gradients:
            return score_candidates(
                self.context, self.evaluator, candidates, groups=self.groups, journal=journal, done=done
            )
        return [self._with_gradient(candidate, journal, done) for candidate in candidates]

    def _with_gradient(self, candidate: Candidate, journal: Journal, done: Done) -> Score:
        known = journal.get(candidate, with_gradient=True)
        if known is not None:
            done(known, True)
            return known
        score = self.value_and_gradient(candidate)
        journal.add(candidate, score, with_gradient=True)
        done(score, False)
        return score

    def value_and_gradient(self, candidate: Candidate) -> Score:
        """The score of one candidate and its gradient [G, K]; all workers share the work."""
        began = time.perf_counter()
        weights = combine(self.context.bank, candidate.coefficients[None], self.groups)[0]
        found = GradientEvaluator.of(self.evaluator).value_and_gradient(np.asarray(weights))
        if found.gradient is None:
            return found.score
        gradient = coefficient_gradient(self.context.bank, found.gradient, self.groups)
        return replace(found.score, gradient=gradient, seconds=time.perf_counter() - began)
