"""Evolutionary search after LCSC (Liu et al., ICLR 2025), whose exact settings are not published.

The population is all candidates scored so far. Each generation draws parents from the best of them; a child is
one parent or a cross of two, then moved by a Gaussian mutation whose scale and sparsity vary from child to child.
Every row of coefficients keeps its sum of 1. No candidate is scored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lcsc import seeds
from lcsc.errors import LcscError
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace, project
from lcsc.search.starts import averages

ATTEMPTS = 100


class Evolution(Search):
    """Keys of ``settings``: seed, population, parents, crossover, mutation_scale, mutation_share, initial_rates."""

    method: ClassVar[str] = "evolution"

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, settings)
        self._rng = seeds.generator("optimiser", int(settings["seed"]))
        self._best: list[Scored] = []
        self._seen: set[str] = set()

    def ask(self) -> list[Candidate]:
        """The start points at first, then children of the best."""
        size = int(self.settings["population"])
        taken = set(self._seen)
        chosen: list[Candidate] = []
        if not self._best:
            chosen += averages(self.space, self.settings.get("initial_rates"))[:size]
            taken.update(candidate.fingerprint for candidate in chosen)
        parents = [scored.candidate.coefficients for scored in self._best] or [c.coefficients for c in chosen]
        while len(chosen) < size:
            child = self._new_child(parents, taken)
            taken.add(child.fingerprint)
            chosen.append(child)
        return chosen

    def tell(self, scored: Sequence[Scored]) -> None:
        """Add a generation to the population."""
        self._seen.update(item.candidate.fingerprint for item in scored)
        finite = [item for item in (*self._best, *scored) if item.score is not None]
        self._best = sorted(finite, key=lambda item: item.order)[: int(self.settings["parents"])]

    def state(self) -> dict[str, Any]:
        """The random numbers' state: the population is in the generations."""
        return {"rng": seeds.generator_state(self._rng)}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Rebuild the population from ``history`` and take the random numbers' state."""
        for generation in history:
            self.tell(generation)
        self._rng = seeds.restore_generator(state["rng"])

    def _new_child(self, parents: Sequence[Coefficients], taken: set[str]) -> Candidate:
        for _ in range(ATTEMPTS):
            child = self._child(parents)
            if child.fingerprint not in taken:
                return child
        raise LcscError(
            f"evolution: {ATTEMPTS} children in a row were scored before; raise mutation_scale or mutation_share"
        )

    def _child(self, parents: Sequence[Coefficients]) -> Candidate:
        first = parents[int(self._rng.integers(len(parents)))]
        crossed = len(parents) > 1 and self._rng.random() < self.settings["crossover"]
        if crossed:
            first = self._cross(first, parents[int(self._rng.integers(len(parents)))])
        return Candidate(mutate(self._rng, first, self.settings), "crossover" if crossed else "mutation")

    def _cross(self, first: Coefficients, second: Coefficients) -> Coefficients:
        """Take each coefficient from one parent, or a point on the line through both, half of the times each."""
        if self._rng.random() < 0.5:
            return np.where(self._rng.random(first.shape) < 0.5, first, second)
        return first + self._rng.uniform(-0.5, 1.5) * (second - first)


def mutate(rng: np.random.Generator, rows: Coefficients, settings: Mapping[str, Any]) -> Coefficients:
    """``rows`` [G, K] moved by a Gaussian, each row still summing to 1.

    Its standard deviation is drawn log-uniformly from ``mutation_scale``, and the share of coefficients that it
    touches uniformly from ``mutation_share``.
    """
    scale = np.exp(rng.uniform(*np.log(settings["mutation_scale"])))
    touched = rng.random(rows.shape) < rng.uniform(*settings["mutation_share"])
    return project(rows + scale * rng.normal(size=rows.shape) * touched)
