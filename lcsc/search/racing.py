"""Racing: all candidates of a generation on few images first, and only the best of them on all.

The few are the first of the same noise, so that a candidate is compared with others on equal terms. Those that are
raced out have no score; they are neither failures nor parents nor finalists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lcsc.errors import InputError


@dataclass(frozen=True)
class Race:
    """A heat on ``images`` images, after which the best share ``keep`` is scored on all ``full`` images."""

    images: int
    keep: float
    full: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], images: int) -> Race | None:
        """The race that a search's ``settings`` ask for, None for none; ``images`` are those of a score."""
        chosen = settings.get("racing")
        if chosen is None:
            return None
        race = cls(int(chosen["images"]), float(chosen["keep"]), images)
        if not 2 <= race.images < images:
            raise InputError(f"searches: racing.images {race.images}, expected 2 or more and fewer than {images}")
        if not 0 < race.keep < 1:
            raise InputError(f"searches: racing.keep {race.keep}, expected a share between 0 and 1")
        return race

    def kept(self, count: int) -> int:
        """How many of ``count`` candidates are scored on all images, at least one."""
        return max(1, math.ceil(self.keep * count - 1e-9))

    def winners(self, values: Sequence[float | None]) -> list[int]:
        """The places of the best, in ascending order; a candidate whose heat gave no value is never among them."""
        finite = [(value, place) for place, value in enumerate(values) if value is not None]
        return sorted(place for _, place in sorted(finite)[: self.kept(len(values))])

    def cost(self, count: int) -> Fraction:
        """What a generation of ``count`` candidates costs at most, in scores on all images."""
        return self.heat * count + self.kept(count)

    @property
    def heat(self) -> Fraction:
        """What one candidate's heat costs, in scores on all images."""
        return Fraction(self.images, self.full)
