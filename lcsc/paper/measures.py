"""What a claim says in numbers: a speed-up, a ratio, or where one curve comes down to another's level; by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from lcsc.errors import InputError
from lcsc.paper.points import Role, Series, X
from lcsc.report.numbers import short


@dataclass(frozen=True)
class Number:
    """A measure of each seed; ``beyond``: at least this much, since the curve ends before the level is reached.

    Infinite, or for a speed-up 0, where a level was never reached.
    """

    values: tuple[float, ...]
    beyond: tuple[bool, ...]

    @property
    def middle(self) -> float:
        """The median over the seeds."""
        return median(self.values)

    def text(self) -> str:
        """Median and range, ``> 32 (> 16–> 32)``; ``never`` where a level was never reached."""
        order, middle = self._order, self.middle_text()
        return middle if len(order) == 1 else f"{middle} ({self._word(order[0])}–{self._word(order[-1])})"

    def middle_text(self) -> str:
        """The median alone, ``> 32``."""
        order = self._order
        return self._word(order[len(order) // 2]) if len(order) % 2 else short(self.middle)

    @property
    def _order(self) -> list[int]:
        return sorted(range(len(self.values)), key=lambda seed: self.values[seed])

    def _word(self, seed: int) -> str:
        value = self.values[seed]
        return "never" if math.isinf(value) or value == 0 else f"{'> ' if self.beyond[seed] else ''}{short(value)}"


def crossing(xs: Sequence[float], values: Sequence[float], level: float) -> float | None:
    """The first x > 0 at which ``values`` > 0 come down to ``level``; None where they never do.

    Between two points they follow a straight line of logarithms.
    """
    for place, (x, value) in enumerate(zip(xs, values, strict=True)):
        if value <= level:
            if place == 0:
                return x
            before, former = xs[place - 1], values[place - 1]
            share = math.log(former / level) / math.log(former / value)
            return math.exp(math.log(before) + share * math.log(x / before))
    return None


def speed_up(ours: Series, base: Series, at: float) -> Number:
    """How many times ``at`` the base needs until it has what our method has at ``at``, by seed."""
    xs = _numbers(base)
    found, beyond = [], []
    for seed, level in enumerate(ours.at(at)):
        reached = crossing(xs, [row[seed] for row in base.values], level)
        found.append((xs[-1] if reached is None else reached) / at)
        beyond.append(reached is None)
    return Number(tuple(found), tuple(beyond))


def ratio(ours: Series, at: X | None, base: Series, base_at: X | None) -> Number:
    """Our method's distance over the base's, by seed."""
    values = tuple(one / other for one, other in zip(ours.at(at), base.at(base_at), strict=True))
    return Number(values, (False,) * len(values))


def match(ours: Series, base: Series, base_at: float) -> Number:
    """The smallest measured x at which our method is at or below the base's distance at ``base_at``, by seed."""
    found = []
    for seed, level in enumerate(base.at(base_at)):
        reached = [x for x, row in zip(_numbers(ours), ours.values, strict=True) if row[seed] <= level]
        found.append(min(reached, default=math.inf))
    return Number(tuple(found), (False,) * len(found))


def measure(spec: Mapping[str, Any], series: Mapping[str, Series]) -> Number:
    """The number that ``spec`` asks for; ``series`` by method, of one figure and one extractor."""
    ours, base = (_named(spec[key], series) for key in ("method", "base"))
    if spec["kind"] == "speed-up":
        return speed_up(ours, base, spec["at"])
    if spec["kind"] == "match":
        return match(ours, base, spec["base_at"])
    return ratio(ours, spec["at"], base, spec["at"] if spec["base_at"] is None else spec["base_at"])


def between(series: Mapping[tuple[str, Role], Series], spec: Mapping[str, Any], role: Role) -> Number:
    """What ``spec`` asks for of the lines of a figure by one extractor."""
    return measure(spec, {method: one for (method, by), one in series.items() if by == role})


def holds(number: Number, target: Mapping[str, Any]) -> bool:
    """Whether the median is within the target, ``{at_most: …}`` or ``{at_least: …}``."""
    low, high = target.get("at_least"), target.get("at_most")
    return (low is None or number.middle >= low) and (high is None or number.middle <= high)


def _numbers(series: Series) -> list[float]:
    if any(isinstance(x, str) for x in series.xs):
        raise InputError(f"claims: {series.method!r}: found points {list(series.xs)}, expected numbers to look between")
    return [float(x) for x in series.xs]


def _named(name: str, series: Mapping[str, Series]) -> Series:
    if name not in series:
        raise InputError(f"claims: found method {name!r}, expected one of the figure's: {', '.join(series)}")
    return series[name]
