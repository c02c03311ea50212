"""What every search is: ask for candidates, be told their scores, and be saved in between."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Coefficients = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """Coefficients [G, K], each row summing to 1, and where they came from (for people).

    ``iteration`` is that of the search noise to be scored on: 0 is the noise that all candidates share, others are
    fresh.
    """

    coefficients: Coefficients
    origin: str
    iteration: int = 0

    @property
    def fingerprint(self) -> str:
        """Hexadecimal sha256 of the coefficients' bytes and shape, and of the iteration where it is not 0."""
        values = np.ascontiguousarray(self.coefficients, dtype="<f8")
        fresh = f"noise {self.iteration} " if self.iteration else ""
        return hashlib.sha256(f"{fresh}{values.shape!r}".encode() + values.tobytes()).hexdigest()


@dataclass(frozen=True)
class Scored:
    """A candidate with its score; None where its images gave none, which counts as worst.

    ``gradient`` is the score's in the coefficients, [G, K], for a search that asks for gradients. ``raced`` is the
    score on few images of a candidate that got no other, since it was not among the best there.
    """

    candidate: Candidate
    score: float | None
    gradient: Coefficients | None = field(default=None, compare=False)
    raced: float | None = None

    @property
    def order(self) -> float:
        """The value to sort by."""
        return np.inf if self.score is None else self.score

    @property
    def rank(self) -> tuple[int, float]:
        """What to sort a whole generation by: those with a score, those raced out, and those that failed."""
        if self.score is not None:
            return 0, self.score
        return (2, 0.0) if self.raced is None else (1, self.raced)


@dataclass(frozen=True)
class SearchSpace:
    """What is searched: rows of coefficients over checkpoints saved at ``steps``.

    ``gram`` [G, K, K] are the inner products of the checkpoints' centred differences in each group, for searches
    along principal axes. ``warm`` [G, K] is where an earlier search ended, one more start point.
    """

    steps: tuple[int, ...]
    groups: int = 1
    gram: NDArray[np.float64] | None = field(default=None, compare=False)
    warm: Coefficients | None = field(default=None, compare=False)

    @property
    def K(self) -> int:  # noqa: N802 - the field's symbol
        """Number of checkpoints."""
        return len(self.steps)


class Search(ABC):
    """A search over coefficients that is driven from outside.

    ``ask`` returns the candidates of the next generation and ``tell`` takes their scores, in the same order.
    ``state`` is all that is needed to go on, as JSON can hold it, besides the generations themselves, which
    ``restore`` is given back.
    """

    method: ClassVar[str]
    needs_gradient: ClassVar[bool] = False

    @property
    def wants_gradients(self) -> bool:
        """Whether the candidates of the next ``ask`` are to be scored with gradients."""
        return False

    @property
    def stopped(self) -> bool:
        """Whether the search has ended: it asks for nothing more."""
        return self.reason is not None

    @property
    def reason(self) -> str | None:
        """Why the search has ended, in a word or two; None while it goes on."""
        return None

    def __init__(self, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        self.space = space
        self.settings = settings

    @abstractmethod
    def ask(self) -> list[Candidate]:
        """The candidates to be scored next."""

    @abstractmethod
    def tell(self, scored: Sequence[Scored]) -> None:
        """Take the scores of the candidates last asked for; lower is better."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The state after the last ``tell``, with that of the random numbers."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any], history: Iterable[Sequence[Scored]]) -> None:
        """Go on from ``state`` after the generations in ``history``."""


def project(rows: Coefficients) -> Coefficients:
    """The nearest coefficients whose rows sum to 1 (orthogonal projection), shape [G, K]."""
    for _ in range(2):  # the second pass takes away what the first one rounded
        rows = rows - (rows.sum(axis=-1, keepdims=True) - 1.0) / rows.shape[-1]
    return rows
