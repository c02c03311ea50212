"""CMA-ES: a Gaussian over coefficients whose mean, scale and covariance follow the better half of each generation.

Hansen, The CMA evolution strategy: a tutorial (2016), and for many variables its separable form, Ros & Hansen, A
simple modification in CMA-ES achieving linear time and space complexity (PPSN 2008), both by the package ``cmaes``.

The variables are the coordinates of A − A₀ in an orthonormal basis of the rows that sum to 0, K − 1 for each group,
so sums stay 1 without a constraint. The basis is that of the cosine transform, smooth in the training step:
checkpoints in a row are alike, so its low frequencies move the weights far and its high ones hardly, and this is
the difference that a separable covariance, or a full one with few evaluations, can learn.

The package drops its random numbers' state when it is saved. Here every generation gets a seed of its own, and the
rest is a function of the candidates and scores: both are in the generations, and told again in order they give back
the same state to the last bit, on the same machine with the same threads, as eigenvectors depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lcsc import seeds
from lcsc.errors import InputError, LcscError
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace, project
from lcsc.search.domain import Vector
from lcsc.search.starts import RATES, averages, written_start

if TYPE_CHECKING:
    from cmaes import CMA, SepCMA

# From more variables on, a full covariance needs more evaluations than there are, and cubic time.
MOST_FULL = 100
# Told in place of the scores of candidates that have none: above every distance, and finite, since inf - inf is NaN.
WORST = 1e100

DEFAULTS: Mapping[str, Any] = {
    "seed": 0,
    "start": "best-average",
    "initial_rates": list(RATES),
    "sigma": 0.02,
    "population": None,
    "separable": "auto",
    "penalty": 0.0,
}


class CmaEs(Search):
    """Scores the averages first, then samples around the best of them.

    Keys of ``settings``, with defaults in ``DEFAULTS``: seed; start and initial_rates as for the gradient search;
    sigma (standard deviation of each coordinate at first); population (null: 4 + ⌊3 ln n⌋ for n variables, as the
    tutorial has it); separable (true, false, or "auto" for n above 100); penalty (λ ≥ 0 of λ‖A − A₀‖², added to the
    score as the gradient search does).
    """

    method: ClassVar[str] = "cma-es"

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, {**DEFAULTS, **settings})
        self._basis = cosine_basis(space.K)
        if not (math.isfinite(self.settings["penalty"]) and self.settings["penalty"] >= 0):
            raise InputError(f"searches: penalty {self.settings['penalty']} is no strength, expected 0 or more")
        self._start: Coefficients | None = None
        self._optimiser: CMA | SepCMA | None = None
        self._reason: str | None = None
        if self.settings["start"] != "best-average":
            self._begin(written_start(self.settings["start"], space))

    @property
    def variables(self) -> int:
        """n, the number of coordinates."""
        return self.space.groups * (self.space.K - 1)

    @property
    def separable(self) -> bool:
        """Whether the covariance is diagonal."""
        chosen = self.settings["separable"]
        return self.variables > MOST_FULL if chosen == "auto" else bool(chosen)

    @property
    def reason(self) -> str | None:
        """Why it stopped; None while it goes on."""
        return self._reason

    def ask(self) -> list[Candidate]:
        """The averages at first, then a sample of the Gaussian; nothing once it has stopped."""
        if self._optimiser is None:
            return averages(self.space, self.settings["initial_rates"])
        if self.stopped:
            return []
        number = self._optimiser.generation
        path = seeds.seed_sequence("optimiser", int(self.settings["seed"]), number)
        self._optimiser.reseed_rng(int(path.generate_state(1)[0]))
        points = [self._optimiser.ask() for _ in range(self._optimiser.population_size)]
        return [Candidate(self._rows(point), f"cma-es {number}") for point in points]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Take the best average, or move the Gaussian; candidates without a score are the worst."""
        if self._optimiser is None:
            best = min(scored, key=lambda item: item.order)
            if best.score is None:
                raise LcscError("cma-es: no average of the checkpoints has a score; check the checkpoints")
            self._begin(best.candidate.coefficients)
        elif scored:
            points = [self._point(item.candidate.coefficients) for item in scored]
            self._optimiser.tell(list(zip(points, self._values(scored, points), strict=True)))
            self._reason = "converged" if self._optimiser.should_stop() else None

    def state(self) -> dict[str, Any]:
        """How far it is, for people: what it needs to go on is in the generations."""
        return {"updates": 0 if self._optimiser is None else self._optimiser.generation, "stopped": self._reason}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Be told the generations in ``history`` again, from the start."""
        for number, generation in enumerate(history):
            expected = None if self._optimiser is None else self._optimiser.population_size
            if expected is not None and generation and len(generation) != expected:
                raise InputError(
                    f"generation {number}: found {len(generation)} candidates, expected {expected} of cma-es; remove "
                    "the search's folder and run it again"
                )
            self.tell(generation)
        if self.state() != dict(state):
            raise InputError(f"cma-es: {self.state()} after its generations, expected {dict(state)}; run it again")

    def _begin(self, rows: Coefficients) -> None:
        self._start = project(np.asarray(rows, dtype=np.float64))
        if self.separable and self.variables < 2:
            raise InputError("searches: separable true needs two variables or more, found one; set it to auto")
        from cmaes import CMA, SepCMA  # slow to import, and no other search needs it

        make = SepCMA if self.separable else CMA
        size = self.settings["population"]
        self._optimiser = make(
            np.zeros(self.variables),
            float(self.settings["sigma"]),
            population_size=4 + math.floor(3 * math.log(self.variables)) if size is None else int(size),
        )

    def _rows(self, point: Vector) -> Coefficients:
        """The coefficients [G, K] of a point [n]."""
        assert self._start is not None
        return project(self._start + point.reshape(self.space.groups, -1) @ self._basis)

    def _point(self, rows: Coefficients) -> Vector:
        """The coordinates [n] of coefficients [G, K].

        They are taken from the candidate, not kept from :meth:`ask`: so a search that is told its history again
        works with the same numbers, and needs no sample that it drew on another machine.
        """
        assert self._start is not None
        return ((rows - self._start) @ self._basis.T).reshape(-1)

    def _values(self, scored: Sequence[Scored], points: Sequence[Vector]) -> list[float]:
        """Score and penalty of each; finite numbers above all of them, rising by rank, where there is no score."""
        penalty = float(self.settings["penalty"])
        values = [WORST] * len(scored)
        for place, index in enumerate(sorted(range(len(scored)), key=lambda index: scored[index].rank)):
            score = scored[index].score
            away = float(np.square(points[index]).sum())
            values[index] = WORST * (1 + place) if score is None else score + penalty * away
        return values


def cosine_basis(count: int) -> Coefficients:
    """An orthonormal basis of the vectors [K] that sum to 0, in rows by rising frequency, shape [K - 1, K].

    It is that of the discrete cosine transform (type II) without the constant.
    """
    frequencies = np.arange(1, count)[:, None]
    basis: Coefficients = np.sqrt(2 / count) * np.cos(np.pi / count * frequencies * (np.arange(count) + 0.5))
    return basis
