"""Greedy soup: a uniform average of checkpoints that are taken in only where they improve it.

Wortsman et al., Model soups (ICML 2022), recipe 1, with the search's score in place of held-out accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lcsc.errors import InputError, LcscError
from lcsc.search import averaging
from lcsc.search.base import Candidate, Scored, Search, SearchSpace

VARIANTS = ("ordered", "best-addition")
DEFAULTS: Mapping[str, Any] = {"variant": "ordered"}


class GreedySoup(Search):
    """Scores every checkpoint alone, starts with the best one, and tries to add others, each at most once.

    Keys of ``settings``, with defaults in ``DEFAULTS``: variant. ``ordered`` is the paper's: one generation for
    each further checkpoint, from the best to the worst, which stays if the average got better. ``best-addition``
    scores every possible addition in each generation and takes the best, until none makes the average better.
    Checkpoints without a score are left out.
    """

    method: ClassVar[str] = "greedy-soup"

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, {**DEFAULTS, **settings})
        if self.settings["variant"] not in VARIANTS:
            known = ", ".join(VARIANTS)
            raise InputError(f"searches: variant {self.settings['variant']!r} is unknown, expected one of {known}")
        self._soup: list[int] = []
        self._left: list[int] | None = None
        self._score = np.inf
        self._failed = False

    @property
    def reason(self) -> str | None:
        """Why it ended: all checkpoints were tried, or none left improves the average."""
        if self._failed:
            return "no addition helps"
        return "tried all" if self._left is not None and not self._left else None

    def ask(self) -> list[Candidate]:
        """Each checkpoint alone at first, then the soup with one more."""
        count = self.space.K
        if self._left is None:
            return [self._candidate(averaging.single(count, k), f"single {self.space.steps[k]}") for k in range(count)]
        if self.stopped:
            return []
        tried = self._left[:1] if self.settings["variant"] == "ordered" else self._left
        return [self._candidate(self._average(k), f"soup of {len(self._soup) + 1}") for k in tried]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Rank the checkpoints, or take in the best addition if it made the average better."""
        if self._left is None:
            self._rank(scored)
            return
        if not scored:
            return
        place = min(range(len(scored)), key=lambda index: scored[index].order)
        better = scored[place].order < self._score
        if better:
            self._soup.append(self._left[place])
            self._score = scored[place].order
        if better or self.settings["variant"] == "ordered":
            del self._left[place]
        else:
            self._failed = True

    def state(self) -> dict[str, Any]:
        """How far it is, for people: the generations hold all that it needs."""
        return {"soup": [self.space.steps[k] for k in self._soup], "left": len(self._left or [])}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Go through ``history`` again."""
        for generation in history:
            self.tell(generation)
        if self.state() != dict(state):
            raise InputError(f"greedy-soup: {self.state()} after its generations, expected {dict(state)}; run it again")

    def _rank(self, scored: Sequence[Scored]) -> None:
        ranked = sorted((k for k in range(len(scored)) if scored[k].score is not None), key=lambda k: scored[k].order)
        if not ranked:
            raise LcscError("greedy-soup: no checkpoint has a score; check the checkpoints")
        self._soup, self._left, self._score = ranked[:1], ranked[1:], scored[ranked[0]].order

    def _average(self, addition: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        row = np.zeros((1, self.space.K))
        row[0, [*self._soup, addition]] = 1 / (len(self._soup) + 1)
        return row

    def _candidate(self, row: np.ndarray[Any, np.dtype[np.float64]], origin: str) -> Candidate:
        return Candidate(np.repeat(row, self.space.groups, axis=0), origin)
