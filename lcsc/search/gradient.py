"""Search along exact gradients of the score in the coefficients, one row for each group.

The variables are the rows themselves. Gradients are projected on rows that sum to 0, and every point asked for on
rows that sum to 1, so that rounding cannot carry the sums away. The score may be joined by a penalty
λ‖A − A₀‖² towards the start A₀, and the coefficients may be bounded (see :class:`lcsc.search.domain.Rows`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from lcsc.errors import InputError, LcscError
from lcsc.search.adam import Adam
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace
from lcsc.search.domain import Domain, Rows, Vector
from lcsc.search.lbfgs import LBFGS
from lcsc.search.starts import RATES, averages, written_start

DEFAULTS: Mapping[str, Any] = {
    "start": "best-average",
    "initial_rates": list(RATES),
    "optimiser": "lbfgs",
    "penalty": 0.0,
    "bound": None,
}


class Optimiser(Protocol):
    """A minimiser over flat vectors [n] that is driven from outside and can be saved after any ``tell``."""

    evaluations: int

    @property
    def stopped(self) -> str | None:
        """Why it asks for nothing more, None while it goes on."""

    @property
    def best(self) -> tuple[Vector, float] | None:
        """The point of lowest value so far, and that value."""

    def ask(self) -> Vector:
        """The point to be evaluated next."""

    def tell(self, value: float, gradient: Vector) -> None:
        """Take value and gradient at the point last asked for; NaN where there is none."""

    def state(self) -> dict[str, Any]:
        """Numbers, and under ``arrays`` the float64 arrays by name."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


MakeOptimiser = Callable[[Vector, Domain, Mapping[str, Any]], Optimiser]


def _given(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}


def _lbfgs(start: Vector, domain: Domain, settings: Mapping[str, Any]) -> Optimiser:
    names = ("history", "line_evaluations", "gradient_tolerance", "tolerance")
    return LBFGS(start, domain, **_given(settings, *names))


def _adam(start: Vector, domain: Domain, settings: Mapping[str, Any]) -> Optimiser:
    return Adam(
        start, domain, **_given(settings, "learning_rate", "betas", "epsilon"), evaluations=settings.get("gradients")
    )


OPTIMISERS: dict[str, MakeOptimiser] = {"adam": _adam, "lbfgs": _lbfgs}


class Gradient(Search):
    """Asks for averages first, by value alone, then for one point with its gradient at a time from the best.

    Keys of ``settings``, with defaults in ``DEFAULTS``: start ("best-average", "last", "uniform", or rows [G, K] or
    [1, K] of an earlier search, which need no averages), initial_rates (of the EMA-shaped averages), optimiser
    ("lbfgs" or "adam"), penalty (λ ≥ 0), bound (on |α|; null for none); of ``lbfgs``: history, line_evaluations,
    gradient_tolerance, tolerance; of ``adam``: learning_rate, betas, epsilon, gradients (their number in all,
    over which the learning rate falls to 0).
    """

    method: ClassVar[str] = "gradient"
    needs_gradient: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, {**DEFAULTS, **settings})
        penalty = float(self.settings["penalty"])
        if not (math.isfinite(penalty) and penalty >= 0):
            raise InputError(f"searches: penalty {penalty} is no strength, expected 0 or more")
        if self.settings["optimiser"] not in OPTIMISERS:
            known = ", ".join(sorted(OPTIMISERS))
            raise InputError(f"searches: optimiser {self.settings['optimiser']!r} is unknown, expected one of {known}")
        self._penalty = penalty
        self._domain = Rows(space.groups, space.K, self.settings["bound"])
        self._start: Vector | None = None
        self._optimiser: Optimiser | None = None
        if self.settings["start"] != "best-average":
            self._begin(written_start(self.settings["start"], space))

    @property
    def wants_gradients(self) -> bool:
        """Whether the candidates of the next ``ask`` need gradients; the averages at first do not."""
        return self._optimiser is not None

    @property
    def reason(self) -> str | None:
        """Why it stopped, in the optimiser's word; None while it goes on."""
        return None if self._optimiser is None else self._optimiser.stopped

    @property
    def start(self) -> Coefficients | None:
        """A₀, the coefficients [G, K] that the optimiser set out from; None before they are known."""
        return None if self._start is None else self._start.reshape(self._domain.shape).copy()

    def ask(self) -> list[Candidate]:
        """The averages at first, then the optimiser's next point; nothing once it has stopped."""
        if self._optimiser is None:
            return averages(self.space, self.settings["initial_rates"], self._domain)
        if self.stopped:
            return []
        rows = self._optimiser.ask().reshape(self._domain.shape)
        return [Candidate(rows, f"{self.settings['optimiser']} {self._optimiser.evaluations}")]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Take the scores of the averages, or score and gradient of the one point asked for."""
        if self._optimiser is None:
            finite = [item for item in scored if item.score is not None and math.isfinite(item.score)]
            if not finite:
                raise LcscError("gradient: no average of the checkpoints has a score; check the checkpoints")
            self._begin(min(finite, key=lambda item: item.order).candidate.coefficients)
            return
        for item in scored:
            self._optimiser.tell(*self._objective(item))

    def state(self) -> dict[str, Any]:
        """How far it is, for people: what it needs to go on is in the generations."""
        done = 0 if self._optimiser is None else self._optimiser.evaluations
        return {"evaluations": done, "stopped": self.reason}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Go through ``history`` again, with its scores and gradients: the same numbers lead to the same state.

        An optimiser's curvature pairs are hundreds of times larger than a generation; its points and gradients
        give them back, and asking for other points than were scored is noticed.
        """
        for number, generation in enumerate(history):
            asked = [candidate.fingerprint for candidate in self.ask()]
            if asked != [item.candidate.fingerprint for item in generation]:
                raise InputError(
                    f"generation {number}: its candidates are not those that this search asks for; other settings or "
                    "versions made it: remove the search's folder and run it again"
                )
            if asked:
                self.tell(generation)
        found = self.state()
        if found != dict(state):
            raise InputError(f"gradient: state {found} after its generations, expected {dict(state)}; run it again")

    def _begin(self, rows: Coefficients) -> None:
        """Set out from ``rows``, moved inside the bound where they are not."""
        self._start = self._domain.project(np.asarray(rows, dtype=np.float64).reshape(-1))
        make = OPTIMISERS[self.settings["optimiser"]]
        self._optimiser = make(self._start, self._domain, self.settings)

    def _objective(self, item: Scored) -> tuple[float, Vector]:
        """Score and projected gradient [n] with the penalty's; NaN where the candidate has no score."""
        assert self._start is not None
        point = np.asarray(item.candidate.coefficients, dtype=np.float64).reshape(-1)
        if item.score is None:
            return math.nan, np.full(point.shape, math.nan)
        if item.gradient is None:
            raise LcscError("gradient: found a score without its gradient, expected both; score with gradients")
        away = point - self._start
        rows = np.asarray(item.gradient, dtype=np.float64).reshape(self._domain.shape)
        slope = (rows - rows.mean(axis=1, keepdims=True)).reshape(-1) + 2 * self._penalty * away
        return item.score + self._penalty * float(np.sum(away * away)), slope
