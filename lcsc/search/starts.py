"""Where searches set out from: averages that people use, or rows that the settings write down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lcsc.errors import InputError
from lcsc.search import averaging
from lcsc.search.base import Candidate, Coefficients, SearchSpace
from lcsc.search.domain import Domain, WholeSpace

# Rates per training step of the EMA-shaped averages, where the settings name none.
RATES = (0.9, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
# What averages keep from one checkpoint to the next, where the rates are to suit the checkpoints.
KEPT = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def averages(space: SearchSpace, rates: Sequence[float] | None, domain: Domain | None = None) -> list[Candidate]:
    """The last checkpoint, the uniform average and EMA-shaped ones of ``rates``, inside ``domain``; none twice.

    Without ``rates`` they suit the distances between the checkpoints. One row is repeated for each group. Where an
    earlier search ended (``space.warm``) comes first.
    """
    if rates is None:
        rates = averaging.suited_rates(space.steps, KEPT)
    chosen_domain: Domain = WholeSpace() if domain is None else domain
    rows = [("last", averaging.single(space.K, space.K - 1)), ("uniform", averaging.uniform(space.K))]
    rows += [(f"ema-shaped {rate:.10g}", averaging.ema_shaped(space.steps, rate)) for rate in rates]
    repeated = [(origin, np.repeat(row, space.groups, axis=0)) for origin, row in rows]
    if space.warm is not None:
        repeated.insert(0, ("warm start", space.warm))
    chosen: dict[str, Candidate] = {}
    for origin, start in repeated:
        point = start.reshape(-1)
        inside = point if chosen_domain.contains(point) else chosen_domain.project(point)
        candidate = Candidate(inside.reshape(space.groups, space.K), origin)
        chosen.setdefault(candidate.fingerprint, candidate)
    return list(chosen.values())


def written_start(start: Any, space: SearchSpace) -> Coefficients:
    """The start [G, K] that the settings write down: "last", "uniform", or rows [G, K] or [1, K].

    Raises :class:`InputError` for anything else, and where there is a warm start, which is one of the averages.
    """
    if space.warm is not None:
        raise InputError(f"searches: start {_words(start)} with a warm start, expected best-average")
    if start == "last":
        rows = averaging.single(space.K, space.K - 1)
    elif start == "uniform":
        rows = averaging.uniform(space.K)
    else:
        rows = _as_rows(start)
    if rows.shape not in ((1, space.K), (space.groups, space.K)) or not np.isfinite(rows).all():
        raise InputError(
            f"searches: start {_words(start)} is no start, expected best-average, last, uniform, or finite rows of "
            f"shape ({space.groups}, {space.K})"
        )
    return np.repeat(rows, space.groups, axis=0) if rows.shape[0] == 1 else rows


def _as_rows(start: Any) -> Coefficients:
    try:
        return np.asarray(start, dtype=np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _words(start: Any) -> str:
    return repr(start) if isinstance(start, str) else f"of shape {_as_rows(start).shape}"
