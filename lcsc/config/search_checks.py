"""What is impossible together in a search along gradients, and in one that starts where another ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem

Section = Mapping[str, Any]
Place = tuple[str | int, ...]


def gradient_problems(place: Place, search: Section) -> Iterator[Problem]:
    """Impossible settings of the method ``gradient``."""
    if search["optimiser"] == "lbfgs" and search["noise"] == "fresh":
        way_out = "take 'optimiser: adam', or fixed noise: a line search needs one and the same function"
        yield Problem((*place, "noise"), "'fresh' with lbfgs", "'fixed'", way_out)
    if search["axes"] == "principal" and search["bound"] is not None:
        way_out = "bounds are on coefficients: take 'axes: coefficients', or a penalty"
        yield Problem((*place, "bound"), f"{search['bound']} with principal axes", "null", way_out)


def warm_start_problems(place: Place, run: str, search: Section, runs: Mapping[str, Section]) -> Iterator[Problem]:
    """A search that starts from one that is not there, or from itself, be it by way of others."""
    seen = {(run, str(place[-1]))}
    while search is not None and search.get("warm_start") is not None:
        warm = search["warm_start"]
        run, name = warm["run"] or run, warm["search"]
        if run not in runs:
            yield Problem((*place, "warm_start", "run"), repr(run), f"a name in 'runs': {', '.join(runs)}")
            return
        searches = runs[run]["searches"]
        if name not in searches:
            expected = f"a search of the run {run!r}: {', '.join(searches)}"
            yield Problem((*place, "warm_start", "search"), repr(name), expected)
            return
        if (run, name) in seen:
            way_out = "break the circle: searches cannot wait for each other"
            yield Problem((*place, "warm_start"), f"a start that leads back to {name!r}", "an earlier search", way_out)
            return
        seen.add((run, name))
        search = searches[name]
