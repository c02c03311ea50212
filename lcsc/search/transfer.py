"""No search at all: the coefficients that another one found, scored where they were not searched.

With another sampler, training seed or set of images this measures how far coefficients carry over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from lcsc.errors import InputError
from lcsc.search.base import Candidate, Scored, Search, SearchSpace


class Transfer(Search):
    """Asks for one candidate, the warm start, and ends."""

    method: ClassVar[str] = "transfer"

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        super().__init__(space, settings)
        if space.warm is None:
            raise InputError("searches: method 'transfer': found no warm_start, expected the search to take over")
        self._warm = space.warm
        self._told = False

    @property
    def reason(self) -> str | None:
        """That its one candidate has been scored."""
        return "taken over" if self._told else None

    def ask(self) -> list[Candidate]:
        """The warm start."""
        return [] if self._told else [Candidate(self._warm, "taken over")]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Note that there is nothing more to do."""
        self._told = self._told or bool(scored)

    def state(self) -> dict[str, Any]:
        """Whether the candidate has been scored."""
        return {"told": self._told}

    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Go on from ``state``, which says all."""
        self._told = bool(state["told"])
