"""Adam as a state machine, for gradients on noise that is fresh at every evaluation.

Kingma & Ba, Adam: a method for stochastic optimization (2015), algorithm 1, with each step projected on the
domain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lcsc.search.domain import Domain, Vector, WholeSpace

MOST_HALVINGS = 20

Reason = Literal["evaluations", "not finite"]


class Adam:
    """Steps from ``start`` [n], float64, of at most about ``learning_rate`` for each coordinate.

    With ``evaluations`` the learning rate falls linearly to 0 over so many of them, and the search stops there.
    Where a value or gradient is not finite it goes back to the last point that was, halves the learning rate for
    good and steps again; it stops after 20 such times, or where the start is not finite.
    """

    def __init__(
        self,
        start: Vector,
        domain: Domain | None = None,
        *,
        learning_rate: float = 0.01,
        betas: Sequence[float] = (0.9, 0.99),
        epsilon: float = 1e-8,
        evaluations: int | None = None,
    ) -> None:
        self._domain: Domain = WholeSpace() if domain is None else domain
        self._rate, self._betas, self._epsilon = learning_rate, (float(betas[0]), float(betas[1])), epsilon
        self._limit = evaluations
        self._point = self._domain.project(np.array(start, dtype=np.float64))
        self._before = self._point
        self._mean = np.zeros_like(self._point)
        self._square = np.zeros_like(self._point)
        self._steps = self._halvings = 0
        self._best: tuple[Vector, float] | None = None
        self.evaluations = 0
        """How often ``tell`` was called."""
        self.stopped: Reason | None = None
        """Why it stopped, None while it goes on."""

    @property
    def converged(self) -> bool:
        """Whether all evaluations were made."""
        return self.stopped == "evaluations"

    @property
    def best(self) -> tuple[Vector, float] | None:
        """The point [n] of lowest value among all told, and that value, which fresh noise flatters."""
        return self._best

    def ask(self) -> Vector:
        """The point [n] to be evaluated next; the last one when ``stopped``."""
        return self._point.copy()

    def tell(self, value: float, gradient: Vector) -> None:
        """Take the value and the gradient [n] at the point last asked for; NaN where there is none."""
        if self.stopped is not None:
            raise ValueError(f"Adam: told a value after it stopped ({self.stopped})")
        slope = np.array(gradient, dtype=np.float64).reshape(self._point.shape)
        self.evaluations += 1
        if math.isfinite(value) and np.isfinite(slope).all():
            if self._best is None or value < self._best[1]:
                self._best = (self._point, float(value))
            self._gather(slope)
        elif self._steps == 0 or self._halvings == MOST_HALVINGS:
            self.stopped = "not finite"
            return
        else:
            self._halvings += 1
        if self._limit is not None and self.evaluations >= self._limit:
            self.stopped = "evaluations"
        else:
            self._point = self._domain.project(self._before - self._step())

    def _gather(self, slope: Vector) -> None:
        """Add a gradient to the moments and set out from the point where it was taken."""
        first, second = self._betas
        self._steps += 1
        self._mean = first * self._mean + (1 - first) * slope
        self._square = second * self._square + (1 - second) * slope * slope
        self._before = self._point

    def _step(self) -> Vector:
        """The next step, [n]."""
        first, second = self._betas
        mean = self._mean / (1 - first**self._steps)
        square = self._square / (1 - second**self._steps)
        left = 1.0 if self._limit is None else 1 - self.evaluations / self._limit
        step: Vector = self._rate * 0.5**self._halvings * left * mean / (np.sqrt(square) + self._epsilon)
        return step

    def state(self) -> dict[str, Any]:
        """Numbers as JSON holds them, and under ``arrays`` the float64 arrays by name, which are not copied."""
        arrays = {"point": self._point, "before": self._before, "mean": self._mean, "square": self._square}
        best = None
        if self._best is not None:
            arrays["best_point"], best = self._best
        counts = {"steps": self._steps, "halvings": self._halvings, "evaluations": self.evaluations}
        return {**counts, "best": best, "stopped": self.stopped, "arrays": arrays}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave; arrays may have become lists of floats on the way."""
        arrays = {name: np.array(value, dtype=np.float64) for name, value in state["arrays"].items()}
        self._point, self._before = arrays["point"], arrays["before"]
        self._mean, self._square = arrays["mean"], arrays["square"]
        self._steps, self._halvings, self.evaluations = state["steps"], state["halvings"], state["evaluations"]
        self._best = None if state["best"] is None else (arrays["best_point"], state["best"])
        self.stopped = state["stopped"]
