"""Search along exact gradients of the score in the coefficients, one row for each group.

The variables are the rows themselves, or steps along the principal axes of the checkpoints' differences (see
:mod:`lcsc.search.coordinates`); rows sum to 1 throughout. The score may be joined by a penalty λ‖A − A₀‖² towards the
start A₀, and the coefficients may be bounded (see :class:`lcsc.search.domain.Rows`).

L-BFGS needs the same function at every evaluation: fixed noise. Adam does not, and on noise that is fresh each time no
noise can be overfitted; its scores then belong to different protocols and only their course means anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from lcsc.config.problems import refuse
from lcsc.config.search_checks import gradient_conflicts
from lcsc.errors import InputError, LcscError
from lcsc.search.adam import Adam
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace
from lcsc.search.coordinates import Coordinates, OwnCoordinates, PrincipalCoordinates
from lcsc.search.domain import Domain, Rows, Vector
from lcsc.search.lbfgs import LBFGS
from lcsc.search.starts import RATES, averages, written_start

DEFAULTS: Mapping[str, Any] = {
    "start": "best-average",
    "initial_rates": list(RATES),
    "optimiser": "lbfgs",
    "noise": "fixed",
    "axes": "coefficients",
    "penalty": 0.0,
    "bound": None,
}
NOISES, AXES = ("fixed", "fresh"), ("coefficients", "principal")


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
    ("lbfgs" or "adam"), axes ("coefficients" or "principal", which needs ``space.gram``), penalty (λ ≥ 0), bound (on
    |α|; null for none); of ``lbfgs``: history, line_evaluations, gradient_tolerance, tolerance; of ``adam``: noise
    ("fixed" or "fresh"), learning_rate, betas, epsilon, gradients (their number in all, over which the learning rate
    falls to 0).
    """

    method: ClassVar[str] = "gradient"
    needs_gradient: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, {**DEFAULTS, **settings})
        _check(self.settings)
        self._penalty = float(self.settings["penalty"])
        self._rows = Rows(space.groups, space.K, self.settings["bound"])
        self._start: Coefficients | None = None
        self._coordinates: Coordinates | None = None
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
        return None if self._start is None else self._start.copy()

    def ask(self) -> list[Candidate]:
        """The averages at first, then the optimiser's next point; nothing once it has stopped."""
        if self._optimiser is None:
            return averages(self.space, self.settings["initial_rates"], self._rows)
        if self.stopped:
            return []
        assert self._coordinates is not None
        done = self._optimiser.evaluations
        rows = self._coordinates.rows(self._optimiser.ask())
        iteration = 1 + done if self.settings["noise"] == "fresh" else 0
        return [Candidate(rows, f"{self.settings['optimiser']} {done}", iteration)]

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
        inside = self._rows.project(np.asarray(rows, dtype=np.float64).reshape(-1))
        self._start = inside.reshape(self._rows.shape)
        if self.settings["axes"] == "principal":
            self._coordinates = PrincipalCoordinates(self._start, self.space.gram)
        else:
            self._coordinates = OwnCoordinates(self._start, self._rows)
        make = OPTIMISERS[self.settings["optimiser"]]
        self._optimiser = make(self._coordinates.start, self._coordinates.domain, self.settings)

    def _objective(self, item: Scored) -> tuple[float, Vector]:
        """Score and gradient [n] in the optimiser's numbers with the penalty's; NaN where there is no score."""
        assert self._start is not None
        assert self._coordinates is not None
        if item.score is None:
            return math.nan, np.full(self._coordinates.start.shape, math.nan)
        if item.gradient is None:
            raise LcscError("gradient: found a score without its gradient, expected both; score with gradients")
        away = np.asarray(item.candidate.coefficients, dtype=np.float64) - self._start
        rows = np.asarray(item.gradient, dtype=np.float64) + 2 * self._penalty * away
        return item.score + self._penalty * float(np.sum(away * away)), self._coordinates.slope(rows)


def _check(settings: Mapping[str, Any]) -> None:
    penalty = float(settings["penalty"])
    if not (math.isfinite(penalty) and penalty >= 0):
        raise InputError(f"searches: penalty {penalty} is no strength, expected 0 or more")
    for key, known in (("optimiser", sorted(OPTIMISERS)), ("noise", NOISES), ("axes", AXES)):
        if settings[key] not in known:
            raise InputError(f"searches: {key} {settings[key]!r} is unknown, expected one of {', '.join(known)}")
    for problem in gradient_conflicts((), settings):
        refuse(problem, "searches")
