"""LCSC: search linear combinations of saved checkpoints that make generative models better.

>>> import lcsc
>>> bank = lcsc.Bank.open("results/digits/bank")
>>> weights = lcsc.combine(bank, lcsc.ema_shaped(bank.steps, 0.97)[None])

Names are imported when they are first used, so that ``import lcsc`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lcsc.bank import Bank
    from lcsc.bank.combination import combine
    from lcsc.collection import collect
    from lcsc.errors import InputError, LcscError
    from lcsc.metrics.frechet import Reference, Statistics, feature_statistics, frechet_distance
    from lcsc.run_scorer import RunScorer
    from lcsc.runtime import deterministic
    from lcsc.search import SEARCHES, Candidate, Scored, Search, SearchSpace
    from lcsc.search.averaging import ema_coefficients, ema_shaped, single, uniform
    from lcsc.search.minimise import Found, minimise
    from lcsc.training.recorder import Recorder

_HOMES = {
    "Bank": "bank",
    "Candidate": "search",
    "Found": "search.minimise",
    "InputError": "errors",
    "LcscError": "errors",
    "Recorder": "training.recorder",
    "Reference": "metrics.frechet",
    "RunScorer": "run_scorer",
    "SEARCHES": "search",
    "Scored": "search",
    "Search": "search",
    "SearchSpace": "search",
    "Statistics": "metrics.frechet",
    "collect": "collection",
    "combine": "bank.combination",
    "deterministic": "runtime",
    "ema_coefficients": "search.averaging",
    "ema_shaped": "search.averaging",
    "feature_statistics": "metrics.frechet",
    "frechet_distance": "metrics.frechet",
    "minimise": "search.minimise",
    "single": "search.averaging",
    "uniform": "search.averaging",
}

__all__ = [
    "SEARCHES",
    "Bank",
    "Candidate",
    "Found",
    "InputError",
    "LcscError",
    "Recorder",
    "Reference",
    "RunScorer",
    "Scored",
    "Search",
    "SearchSpace",
    "Statistics",
    "__version__",
    "collect",
    "combine",
    "deterministic",
    "ema_coefficients",
    "ema_shaped",
    "feature_statistics",
    "frechet_distance",
    "minimise",
    "single",
    "uniform",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lcsc' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lcsc.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
