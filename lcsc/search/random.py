"""Random search: what any search that learns must beat.

The averages are scored first. Every further candidate is the best of them moved by one of evolution's mutations,
with the same distribution of scale and sparsity, whatever was found since: the difference to evolution is what
its selection of parents gains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lcsc import seeds
from lcsc.errors import LcscError
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace
from lcsc.search.evolution import ATTEMPTS, mutate
from lcsc.search.starts import RATES, averages

DEFAULTS: Mapping[str, Any] = {
    "seed": 0,
    "population": 30,
    "mutation_scale": [0.001, 0.1],
    "mutation_share": [0.05, 1.0],
    "initial_rates": list(RATES),
}


class Random(Search):
    """Keys of ``settings``, with defaults in ``DEFAULTS``, mean what they mean for evolution.

    ``population`` is the number of candidates of each generation after the first.
    """

    method: ClassVar[str] = "random"

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, {**DEFAULTS, **settings})
        self._rng = seeds.generator("optimiser", int(self.settings["seed"]))
        self._centre: Scored | None = None

    def ask(self) -> list[Candidate]:
        """The averages at first, then draws around the best of them."""
        if self._centre is None:
            return averages(self.space, self.settings["initial_rates"])
        return [Candidate(self._draw(), "random") for _ in range(int(self.settings["population"]))]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Take the best average; the scores of draws change nothing."""
        if self._centre is None:
            best = min(scored, key=lambda item: item.order)
            if best.score is None:
                raise LcscError("random: no average of the checkpoints has a score; check the checkpoints")
            self._centre = best

    def state(self) -> dict[str, Any]:
        """The random numbers' state: the averages are in the first generation."""
        return {"rng": seeds.generator_state(self._rng)}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Find the best average again and take the random numbers' state."""
        for generation in history:
            self.tell(generation)
        self._rng = seeds.restore_generator(state["rng"])

    def _draw(self) -> Coefficients:
        """A mutation that moves the centre: one that touches no coefficient is drawn again."""
        assert self._centre is not None
        centre = self._centre.candidate.coefficients
        for _ in range(ATTEMPTS):
            rows = mutate(self._rng, centre, self.settings)
            if not np.allclose(rows, centre, rtol=0, atol=1e-12):
                return rows
        raise LcscError(f"random: {ATTEMPTS} draws in a row moved nothing; raise mutation_scale or mutation_share")
