"""Searches over coefficients: one algorithm a file, one interface, and a registry of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lcsc.errors import InputError
from lcsc.search.base import Candidate, Coefficients, Scored, Search, SearchSpace, project
from lcsc.search.cmaes import CmaEs
from lcsc.search.evolution import Evolution
from lcsc.search.gradient import Gradient
from lcsc.search.random import Random
from lcsc.search.soup import GreedySoup
from lcsc.search.transfer import Transfer

SEARCHES: dict[str, type[Search]] = {
    search.method: search for search in (Evolution, CmaEs, Gradient, GreedySoup, Random, Transfer)
}

__all__ = [
    "SEARCHES",
    "Candidate",
    "Coefficients",
    "Scored",
    "Search",
    "SearchSpace",
    "make_search",
    "project",
]


def make_search(settings: Mapping[str, Any], space: SearchSpace) -> Search:
    """The search that ``settings["method"]`` names, at its start."""
    method = settings["method"]
    if method not in SEARCHES:
        raise InputError(f"searches: method {method!r} is unknown, expected one of {', '.join(sorted(SEARCHES))}")
    return SEARCHES[method](space, settings)
