"""L-BFGS as a state machine: ask for a point, be told value and gradient, and be saved in between.

Directions come from :mod:`lcsc.search.quasi_newton`, steps along them from :mod:`lcsc.search.line_search`. Where
bounds are in the way, the direction leads to the minimum of the quadratic model inside them and the line search
goes no further than they allow: the domain is convex, so that all trials lie in it, on a straight line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lcsc.search.domain import Domain, Vector, WholeSpace
from lcsc.search.line_search import LineSearch
from lcsc.search.quasi_newton import bounded_step, curved, inner, measure, newton_step

SMALL_STEPS = 2

Reason = Literal["gradient", "decrease", "line search", "not finite"]


@dataclass(frozen=True)
class Evaluated:
    """A point [n] with its value and gradient [n]."""

    point: Vector
    value: float
    gradient: Vector


class LBFGS:
    """Minimises a smooth function from ``start`` [n], float64.

    ``history`` is the number of remembered pairs of step and change of gradient; ``line_evaluations`` the most
    trials of one line search. It stops where no component of a projected gradient step is above
    ``gradient_tolerance``, where two steps in a row decrease the value by less than ``tolerance`` of its size, or
    where a line search fails twice: with the remembered pairs, then from steepest descent without them. The first
    step is along steepest descent, with a sum of absolute components of at most 1.
    """

    def __init__(
        self,
        start: Vector,
        domain: Domain | None = None,
        *,
        history: int = 20,
        line_evaluations: int = 25,
        gradient_tolerance: float = 1e-7,
        tolerance: float = 1e-9,
    ) -> None:
        self._domain: Domain = WholeSpace() if domain is None else domain
        self._history, self._gradient_tolerance, self._tolerance = history, gradient_tolerance, tolerance
        self._start = self._domain.project(np.array(start, dtype=np.float64))
        self._line = LineSearch(evaluations=line_evaluations, negligible=tolerance)
        self._current: Evaluated | None = None
        self._kept: Evaluated | None = None
        self._direction = np.zeros_like(self._start)
        self._pairs: list[tuple[Vector, Vector]] = []
        self._small = 0
        self._best: tuple[Vector, float] | None = None
        self.evaluations = 0
        """How often ``tell`` was called."""
        self.stopped: Reason | None = None
        """Why it stopped, None while it goes on."""

    @property
    def converged(self) -> bool:
        """Whether it stopped at what looks like a minimum."""
        return self.stopped in ("gradient", "decrease")

    @property
    def best(self) -> tuple[Vector, float] | None:
        """The point [n] of lowest value among all told, and that value; None before the first finite one."""
        return self._best

    def ask(self) -> Vector:
        """The point [n] to be evaluated next; the best one when ``stopped``."""
        if self.stopped is not None:
            return self._start.copy() if self._best is None else self._best[0].copy()
        return self._trial().copy()

    def tell(self, value: float, gradient: Vector) -> None:
        """Take the value and the gradient [n] at the point last asked for; NaN where there is none."""
        if self.stopped is not None:
            raise ValueError(f"L-BFGS: told a value after it stopped ({self.stopped})")
        point = self._trial()
        slope = np.array(gradient, dtype=np.float64).reshape(point.shape)
        finite = math.isfinite(value) and bool(np.isfinite(slope).all())
        here = Evaluated(point, float(value), self._domain.tangent(slope) if finite else slope)
        self.evaluations += 1
        if finite and (self._best is None or here.value < self._best[1]):
            self._best = (here.point, here.value)
        if self._current is not None:
            self._walk(here, finite)
        elif finite:
            self._current = here
            self._turn()
        else:
            self.stopped = "not finite"

    def _trial(self) -> Vector:
        """The point of the present trial; the projection takes away rounding alone."""
        if self._current is None:
            return self._start
        return self._domain.project(self._current.point + self._line.ask() * self._direction)

    def _walk(self, here: Evaluated, finite: bool) -> None:
        """One round of the line search."""
        slope = inner(here.gradient, self._direction) if finite else math.nan
        if self._line.tell(here.value if finite else math.nan, slope):
            self._kept = here
        if not self._line.done:
            return
        if self._kept is not None:
            self._accept(self._kept)
        elif self._pairs:
            self._pairs = []
            self._turn()
        else:
            self.stopped = "line search"

    def _accept(self, here: Evaluated) -> None:
        """Step to ``here``, remember how the gradient changed on the way, and turn."""
        before = self._current
        assert before is not None
        step, change = here.point - before.point, here.gradient - before.gradient
        if curved(step, change):
            self._pairs = [*self._pairs, (step, change)][-self._history :]
        little = before.value - here.value <= self._tolerance * max(abs(before.value), abs(here.value))
        self._small = self._small + 1 if little else 0
        self._current, self._kept = here, None
        if self._small >= SMALL_STEPS:
            self.stopped = "decrease"
        else:
            self._turn()

    def _turn(self) -> None:
        """Choose a direction from the current point and begin a line search along it."""
        here = self._current
        assert here is not None
        if measure(here.point, here.gradient, self._domain) <= self._gradient_tolerance:
            self.stopped = "gradient"
            return
        self._direction = self._downhill(here)
        slope = inner(here.gradient, self._direction)
        if -math.inf < slope < 0:
            reach = self._domain.reach(here.point, self._direction)
            self._line.begin(here.value, slope, 1.0, longest=max(1.0, reach))
        elif self._pairs:  # rounding has eaten the descent
            self._pairs = []
            self._turn()
        else:
            self.stopped = "not finite" if math.isinf(slope) else "gradient"

    def _downhill(self, here: Evaluated) -> Vector:
        """The step [n] that the pairs propose, inside the domain."""
        if self._pairs:
            step = self._domain.tangent(newton_step(here.gradient, self._pairs))
        else:
            step = -here.gradient * min(1.0, 1.0 / float(np.abs(here.gradient).sum()))
        if self._domain.contains(here.point + step):
            return step
        if self._pairs:
            return bounded_step(here.point, here.gradient, self._pairs, self._domain, step)
        return self._domain.project(here.point + step) - here.point

    def state(self) -> dict[str, Any]:
        """Numbers as JSON holds them, and under ``arrays`` the float64 arrays by name, which are not copied."""
        arrays = {"start": self._start, "direction": self._direction}
        empty = np.zeros((0, self._start.size))
        arrays["steps"] = np.stack([step for step, _ in self._pairs]) if self._pairs else empty
        arrays["changes"] = np.stack([change for _, change in self._pairs]) if self._pairs else empty
        values: dict[str, float | None] = {"current": None, "kept": None, "best": None}
        for name, item in (("current", self._current), ("kept", self._kept)):
            if item is not None:
                values[name] = item.value
                arrays |= {f"{name}_point": item.point, f"{name}_gradient": item.gradient}
        if self._best is not None:
            arrays["best_point"], values["best"] = self._best
        numbers = {"small": self._small, "evaluations": self.evaluations, "stopped": self.stopped}
        return {"values": values, **numbers, "line": self._line.state(), "arrays": arrays}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave; arrays may have become lists of floats on the way."""
        arrays = {name: np.array(value, dtype=np.float64) for name, value in state["arrays"].items()}
        values = state["values"]

        def evaluated(name: str) -> Evaluated | None:
            if values[name] is None:
                return None
            return Evaluated(arrays[f"{name}_point"], values[name], arrays[f"{name}_gradient"])

        self._start, self._direction = arrays["start"], arrays["direction"]
        self._current, self._kept = evaluated("current"), evaluated("kept")
        self._best = None if values["best"] is None else (arrays["best_point"], values["best"])
        self._pairs = list(zip(arrays["steps"], arrays["changes"], strict=True))
        self._small, self.evaluations, self.stopped = state["small"], state["evaluations"], state["stopped"]
        self._line.restore(state["line"])
