"""A line search for the strong Wolfe conditions that can be put away between any two evaluations.

Nocedal & Wright, Numerical Optimization (2006), algorithms 3.5 (bracketing) and 3.6 (zoom) with the cubic
interpolation of equation 3.59, turned inside out: ``ask`` gives a step length and ``tell`` takes what was found
there, so that whoever drives it may save it, be killed and go on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SUFFICIENT = 1e-4
"""c1: the share of the decrease that the first slope promises which a step must keep."""
CURVATURE = 0.9
"""c2: the share of the first slope's size that may be left at the step."""
LONGEST_STRIDE = 10.0
SHORTEST_STRIDE = 0.01
EDGE = 0.1
BACKTRACK = 0.25
NARROW = 1e-10

Outcome = Literal["wolfe", "longest", "decrease", "failed"]


@dataclass(frozen=True)
class Trial:
    """A step length with the value and the slope along the direction there; infinite where they are not finite."""

    step: float
    value: float
    slope: float

    @property
    def finite(self) -> bool:
        """Whether interpolation can use it."""
        return math.isfinite(self.value) and math.isfinite(self.slope)


class LineSearch:
    """Finds a step t with φ(t) ≤ φ(0) + c1 t φ'(0) and |φ'(t)| ≤ c2 |φ'(0)|.

    A trial that is not finite counts as too long a step: the search then ends at the longest trial that keeps the
    first condition, rather than go near the edge. After ``evaluations`` trials, or where the bracket is too
    narrow to go on, the search ends at the best trial that keeps the first condition, if there is one. Too narrow is
    also one in which the first slope promises less than ``negligible`` times the first value's size.
    """

    def __init__(
        self,
        *,
        sufficient: float = SUFFICIENT,
        curvature: float = CURVATURE,
        evaluations: int = 25,
        negligible: float = 0.0,
    ) -> None:
        self._sufficient, self._curvature = sufficient, curvature
        self._limit, self._negligible = evaluations, negligible
        self._first = self._low = Trial(0.0, 0.0, -1.0)
        self._high: Trial | None = None
        self._step, self._longest = 1.0, math.inf
        self._count = 0
        self._width: float | None = None
        self.outcome: Outcome | None = None
        """How it ended: both conditions hold; only the decrease does, at the longest step or at the best of all trials
        made; or no trial decreased enough."""

    def begin(self, value: float, slope: float, step: float, longest: float = math.inf) -> None:
        """Start where φ(0) = ``value`` and φ'(0) = ``slope`` < 0.

        ``step`` > 0 is the first trial and no trial is above ``longest``.
        """
        if not (
            math.isfinite(value) and math.isfinite(slope) and slope < 0 and 0 < step <= longest and step < math.inf
        ):
            raise ValueError(f"line search: found value {value}, slope {slope}, step {step}; expected a descent")
        self._first = self._low = Trial(0.0, value, slope)
        self._high, self._width, self._count, self.outcome = None, None, 0, None
        self._step, self._longest = step, longest

    @property
    def done(self) -> bool:
        """Whether the search has ended."""
        return self.outcome is not None

    @property
    def step(self) -> float:
        """The best step so far that keeps the decrease, 0 for none; the accepted one when ``done``."""
        return self._low.step

    def ask(self) -> float:
        """The step length to be tried next."""
        return self._step

    def tell(self, value: float, slope: float) -> bool:
        """Take φ and φ' at the step last asked for; True where that step is now the best one (see ``step``)."""
        trial = Trial(self._step, float(value), float(slope))
        if not trial.finite:
            trial = Trial(self._step, math.inf, math.inf)
        self._count += 1
        better = self._bracket(trial) if self._high is None else self._zoom(trial)
        if self.outcome is None:
            self._go_on()
        return better

    def _decreases(self, trial: Trial) -> bool:
        return trial.value <= self._first.value + self._sufficient * trial.step * self._first.slope

    def _take(self, trial: Trial) -> bool:
        """Make ``trial`` the best one and see whether it is flat enough; True where the search ends with it."""
        self._low = trial
        if abs(trial.slope) <= -self._curvature * self._first.slope:
            self.outcome = "wolfe"
        return self.outcome is not None

    def _bracket(self, trial: Trial) -> bool:
        """One round of algorithm 3.5."""
        before = self._low
        if not self._decreases(trial) or (self._count > 1 and trial.value >= before.value):
            self._high = trial
            return False
        if self._take(trial):
            return True
        if trial.slope >= 0:
            self._high = before
        elif trial.step >= self._longest:
            self.outcome = "longest"
        else:
            self._step = min(_extrapolated(before, trial), self._longest)
        return True

    def _zoom(self, trial: Trial) -> bool:
        """One round of algorithm 3.6."""
        low, high = self._low, self._high
        assert high is not None
        if not self._decreases(trial) or trial.value >= low.value:
            self._high = trial
            return False
        if not self._take(trial) and trial.slope * (high.step - low.step) >= 0:
            self._high = low
        return True

    def _go_on(self) -> None:
        """Choose the next trial, or end where there is no use in one."""
        low, high = self._low, self._high
        width = math.inf if high is None else abs(high.step - low.step)
        narrow = high is not None and width <= NARROW * max(high.step, low.step)
        edge = high is not None and not high.finite and low.step > 0
        pointless = -self._first.slope * width <= self._negligible * abs(self._first.value)
        if self._count >= self._limit or narrow or edge or pointless or not math.isfinite(self._step):
            self.outcome = "decrease" if low.step > 0 else "failed"
        elif high is not None:
            slow = self._width is not None and width > 2 / 3 * self._width
            self._step = (low.step + high.step) / 2 if slow and high.finite else _inside(low, high)
            self._width = width

    def state(self) -> dict[str, Any]:
        """All numbers of the search, as JSON holds them (None for infinite ones)."""
        return {
            "first": _numbers(self._first),
            "low": _numbers(self._low),
            "high": None if self._high is None else _numbers(self._high),
            "step": _number(self._step),
            "longest": _number(self._longest),
            "width": self._width,
            "count": self._count,
            "outcome": self.outcome,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave; the constants are those of this object."""
        self._first, self._low = _trial(state["first"]), _trial(state["low"])
        self._high = None if state["high"] is None else _trial(state["high"])
        self._step, self._longest = (math.inf if state[name] is None else state[name] for name in ("step", "longest"))
        self._width, self._count, self.outcome = state["width"], state["count"], state["outcome"]


def _numbers(trial: Trial) -> list[float | None]:
    return [_number(trial.step), _number(trial.value), _number(trial.slope)]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _trial(numbers: list[float | None]) -> Trial:
    return Trial(*(math.inf if number is None else number for number in numbers))


def _cubic_minimum(a: Trial, b: Trial) -> float | None:
    """Where the cubic through two values and slopes has its minimum (equation 3.59); None where it has none."""
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not (0 <= square < math.inf):
        return None
    d2 = math.copysign(math.sqrt(square), b.step - a.step)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return None
    minimum = b.step - (b.step - a.step) * (b.slope + d2 - d1) / divisor
    return minimum if math.isfinite(minimum) else None


def _extrapolated(before: Trial, trial: Trial) -> float:
    """A longer step than ``trial``'s, where the slope still falls: the cubic's minimum, within a factor of 10."""
    shortest = trial.step + SHORTEST_STRIDE * (trial.step - before.step)
    longest = LONGEST_STRIDE * trial.step
    minimum = _cubic_minimum(before, trial)
    return longest if minimum is None else min(max(minimum, shortest), longest)


def _inside(low: Trial, high: Trial) -> float:
    """A step between both, kept a tenth of the bracket away from its ends; nearer ``low`` if ``high`` is not finite."""
    if not high.finite:
        return low.step + BACKTRACK * (high.step - low.step)
    minimum = _cubic_minimum(low, high)
    if minimum is None:
        return (low.step + high.step) / 2
    left, right = sorted((low.step, high.step))
    margin = EDGE * (right - left)
    return min(max(minimum, left + margin), right - margin)
