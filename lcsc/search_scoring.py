"""Scores a search's candidates, by value or with the exact gradient in their coefficients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lcsc.bank.combination import combined
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.errors import LcscError
from lcsc.evaluation import Evaluator, Score, Weights
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
            if any(candidate.iteration for candidate in candidates):
                raise LcscError(
                    "search: found candidates for fresh noise scored by value, expected scores with gradients"
                )
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
        found = self.gradients_of(candidate).value_and_gradient(self.weights(candidate))
        if found.gradient is None:
            return found.score
        return replace(self.with_rows(found.score, found.gradient), seconds=time.perf_counter() - began)

    def gradients_of(self, candidate: Candidate) -> GradientEvaluator:
        """What gives gradients in the weights on the noise that ``candidate`` is to be scored on."""
        evaluator = self.evaluator
        if candidate.iteration:
            noise = self.context.noise("search", candidate.iteration, evaluator.images)
            evaluator = replace(evaluator, noise=noise)
        return GradientEvaluator.of(evaluator)

    def weights(self, candidate: Candidate) -> Weights:
        """The weights [P] of one candidate."""
        return combined(self.context.bank, candidate.coefficients[None], self.groups)[0]

    def with_rows(self, score: Score, gradient: NDArray[np.float64]) -> Score:
        """``score`` with its gradient [G, K] from that in the weights [P]."""
        return replace(score, gradient=coefficient_gradient(self.context.bank, gradient, self.groups))
