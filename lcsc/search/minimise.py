"""A search with a score function of one's own, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcsc.errors import InputError
from lcsc.search import make_search
from lcsc.search.base import Coefficients, Scored, SearchSpace

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "evolution": {
        "population": 30,
        "parents": 20,
        "crossover": 0.6,
        "mutation_scale": [0.001, 0.1],
        "mutation_share": [0.05, 1.0],
        "initial_rates": [0.9, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995],
    }
}


@dataclass(frozen=True)
class Found:
    """The best coefficients [G, K] of a search, their score, and how many candidates were scored."""

    coefficients: Coefficients
    score: float
    evaluations: int


def minimise(
    score: Callable[[Coefficients], float],
    steps: Sequence[int],
    *,
    evaluations: int,
    method: str = "evolution",
    seed: int = 0,
    groups: int = 1,
    **settings: Any,
) -> Found:
    """Search coefficients [G, K] over checkpoints saved at ``steps`` for the lowest ``score``.

    ``score`` takes coefficients and returns a number, lower is better; NaN counts as worst. ``settings`` are the
    method's, as in the configuration. No fewer than ``evaluations`` candidates are scored, in whole generations.
    """
    chosen = {"method": method, "seed": seed, **DEFAULTS.get(method, {}), **settings}
    search = make_search(chosen, SearchSpace(tuple(int(step) for step in steps), groups))
    if search.needs_gradient:
        raise InputError(
            f"minimise: method {method!r} needs gradients, expected one that takes scores; use 'evolution'"
        )
    best: Scored | None = None
    count = 0
    while count < evaluations and not search.stopped:
        scored = [Scored(candidate, _number(score(candidate.coefficients))) for candidate in search.ask()]
        search.tell(scored)
        count += len(scored)
        best = min([*scored, *([best] if best else [])], key=lambda item: item.order)
    if best is None or best.score is None:
        raise ValueError("score: found no finite value, expected one for some candidate")
    return Found(best.candidate.coefficients, best.score, count)


def _number(value: float) -> float | None:
    return float(value) if value == value else None
