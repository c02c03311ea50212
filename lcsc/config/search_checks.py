"""What is impossible together in a search along gradients, and in one that starts where another ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem

Section = Mapping[str, Any]
Place = tuple[str | int, ...]


def gradient_problems(place: Place, search: Section) -> Iterator[Problem]:
    """Impossible settings of the method ``gradient``."""
    yield from gradient_conflicts(place, search)
    wanted = 1 + (search["gradients"] or 0)  # the start points take a generation
    if search["optimiser"] == "adam" and search["generations"] < wanted:
        way_out = "the learning rate falls to 0 over 'gradients': fewer generations would cut it short"
        yield Problem((*place, "generations"), str(search["generations"]), f"at least {wanted}", way_out)


def gradient_conflicts(place: Place, search: Section) -> Iterator[Problem]:
    """Those that are impossible however long it is; the search itself refuses them, too."""
    if search["optimiser"] == "lbfgs" and search["noise"] == "fresh":
        way_out = "take 'optimiser: adam', or fixed noise: a line search needs one and the same function"
        yield Problem((*place, "noise"), "'fresh' with lbfgs", "'fixed'", way_out)
    if search["axes"] == "principal" and search["bound"] is not None:
        way_out = "bounds are on coefficients: take 'axes: coefficients', or a penalty"
        yield Problem((*place, "bound"), f"{search['bound']} with principal axes", "null", way_out)


def soup_problems(place: Place, search: Section, run: Section) -> Iterator[Problem]:
    """A greedy soup that ends before all checkpoints were tried, where their number is known."""
    if "train" not in run or search["variant"] != "ordered":
        return
    train = run["train"]
    checkpoints = (train["steps"] - train["save_from"]) // train["save_every"] + 1
    if search["generations"] < checkpoints:
        way_out = "the first generation ranks the checkpoints, and each further one tries another"
        yield Problem((*place, "generations"), str(search["generations"]), f"at least {checkpoints}", way_out)


def alike(first: Section, second: Section) -> str:
    """What two extractors have in common that makes one lower the other's distance; empty for nothing."""
    if first["kind"] == second["kind"] != "classifier":
        return "of the kind"
    if all(first.get(key) == second.get(key) for key in ("kind", "architecture")):
        return "of the architecture"
    return "with pixels" if first.get("pixels") and second.get("pixels") else ""


def warm_start_problems(place: Place, run: str, name: str, config: Section) -> Iterator[Problem]:
    """A search that starts from one that is not there, from itself, or from one that saw what judges this one."""
    at, first, runs = (*place, "warm_start"), config["runs"][run], config["runs"]
    if first["searches"][name]["method"] == "transfer" and first["searches"][name]["warm_start"] is None:
        yield Problem(at, "null", "a search whose choice is taken over", "name one, or remove this search")
    seen = {(run, name)}
    while (warm := runs[run]["searches"][name].get("warm_start")) is not None:
        run, name = warm["run"] or run, warm["search"]
        if run not in runs:
            yield Problem((*at, "run"), repr(run), f"a name in 'runs': {', '.join(runs)}")
            return
        if name not in runs[run]["searches"]:
            expected = f"a search of the run {run!r}: {', '.join(runs[run]['searches'])}"
            yield Problem((*at, "search"), repr(name), expected)
            return
        if (run, name) in seen:
            way_out = "break the circle: searches cannot wait for each other"
            yield Problem(at, f"a start that leads back to {name!r}", "an earlier search", way_out)
            return
        seen.add((run, name))
        yield from _unseen(at, first, runs[run], name, config["extractors"])


def _unseen(at: Place, run: Section, earlier: Section, name: str, extractors: Section) -> Iterator[Problem]:
    """An earlier search must have seen neither the held-out images nor the like of the held-out extractor."""
    if earlier["data"] != run["data"]:
        way_out = "another set's training images may be among the held-out ones"
        yield Problem(at, f"{name!r}, which searched on {earlier['data']!r}", f"one on {run['data']!r}", way_out)
    searched = earlier["searches"][name]["extractor"] or earlier["extractors"]["search"]
    kept = run["extractors"]["held_out"]
    if searched == kept or alike(extractors[searched], extractors[kept]):
        found = f"{name!r}, which lowered the distance by {searched!r}"
        way_out = f"{kept!r}, by which this run is judged, is that extractor or of its kind"
        yield Problem(at, found, "one that searched another extractor", way_out)
