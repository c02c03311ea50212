"""Values that are well formed but impossible together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lcsc.config.data_checks import data_problems, known_shape, statistics_problems
from lcsc.config.extractor_checks import extractor_problems, role_problems, searched_problems
from lcsc.config.figure_checks import figure_problems
from lcsc.config.generator_checks import generator_problems
from lcsc.config.landscape_checks import landscape_problems
from lcsc.config.network_checks import network_problems
from lcsc.config.problems import Problem
from lcsc.config.search_checks import gradient_problems, soup_problems, warm_start_problems
from lcsc.config.sharing_checks import sharing_problems, window_problems
from lcsc.config.teacher_checks import teacher_problems
from lcsc.config.words import found_in_words

STARTS = range(8)  # of the averages that a search makes without `initial_rates`
BASELINES = (
    *("last", "single", "uniform", "window", "ema", "post-hoc", "decayed", "continued"),
    *("tuned", "tuned-search", "tuned-span"),
)
Section = Mapping[str, Any]


def check_values(config: Section) -> Problem | None:
    """The first impossible value in a complete configuration."""
    return next(_problems(config), None)


def _problems(config: Section) -> Iterator[Problem]:
    for name, entry in config["data"].items():
        yield from data_problems(("data", name), entry)
        yield from statistics_problems(("data", name, "statistics"), entry, config["extractors"])
    for name, entry in config["extractors"].items():
        yield from extractor_problems(("extractors", name), entry, config["data"])
    for name, run in config["runs"].items():
        yield from _run(("runs", name), run, config)
    yield from figure_problems(config)


def _run(place: tuple[str, ...], run: Section, config: Section) -> Iterator[Problem]:
    if place[-1] == "shared":
        yield Problem(place, "the name 'shared'", "another name", "results/shared is taken; rename the run")
    yield from _reference((*place, "data"), run["data"], config["data"], "data")
    yield from role_problems(place, run, config["extractors"])
    yield from network_problems(place, run)
    if "network" in run:
        yield from generator_problems(place, run)
    yield from _image_shape(place, run, config["data"][run["data"]])
    yield from sharing_problems(place, run, config["runs"])
    if "train" in run:
        yield from _train((*place, "train"), run["train"])
        yield from window_problems((*place, "window"), run.get("window", {}))
        yield from teacher_problems((*place, "train"), run, config["runs"])
    elif "checkpoints" in run:
        yield from window_problems((*place, "checkpoints"), run["checkpoints"])
    else:
        yield Problem((*place, "train"), "nothing", "'train', 'training_of' or 'checkpoints'", "add one of them")
    for section in ("searches", "fine_tune"):
        for name, entry in (run[section] or {}).items():
            gradients = entry.get("method", "gradient") == "gradient"
            at = (*place, section, name, "extractor")
            yield from searched_problems(at, entry["extractor"], run, config["extractors"], gradients=gradients)
    for name, search in run["searches"].items():
        images = search["images"] or run["evaluation"]["search"]["images"]
        yield from _search((*place, "searches", name), search, images)
        if search["method"] == "greedy-soup":
            yield from soup_problems((*place, "searches", name), search, run)
        yield from warm_start_problems((*place, "searches", name), str(place[-1]), name, config)
    for name, landscape in run["landscapes"].items():
        yield from landscape_problems((*place, "landscapes", name), landscape, run)
    for name, tuning in (run["fine_tune"] or {}).items():
        yield from _tuning((*place, "fine_tune", name), tuning, run["searches"])


def _reference(place: tuple[str, ...], name: str, known: Section, what: str) -> Iterator[Problem]:
    if name not in known:
        yield Problem(place, found_in_words(name), f"a name in '{what}': {', '.join(known)}")


def _image_shape(place: tuple[str, ...], run: Section, data: Section) -> Iterator[Problem]:
    section = "generator" if "generator" in run else "network"
    found, expected = run[section]["image_shape"], known_shape(data)
    if expected is not None and list(found) != expected:
        at = (*place, section, "image_shape")
        yield Problem(at, found_in_words(found), f"{expected} as the images of {run['data']!r} have")


def _train(place: tuple[str, ...], train: Section) -> Iterator[Problem]:
    steps, first, every = train["steps"], train["save_from"], train["save_every"]
    if first > steps:
        yield Problem((*place, "save_from"), str(first), f"a step up to the last ({steps})")
    saved = (steps - first) // every + 1
    if saved < 2:
        found = f"{every}, which saves {saved} checkpoint"
        expected = f"at least two checkpoints between steps {first} and {steps}"
        yield Problem((*place, "save_every"), found, expected, "save more often or from an earlier step")
    yield from _rising((*place, "scales"), train["scales"])


def _rising(place: tuple[str, ...], limits: Sequence[float]) -> Iterator[Problem]:
    if limits[0] > limits[1]:
        yield Problem(place, found_in_words(limits), "the smaller number first")


def _search(place: tuple[str, ...], search: Section, images: int) -> Iterator[Problem]:
    if place[-1] in BASELINES:
        yield Problem(place, f"the name {place[-1]!r}", "another name", "a baseline has this name; rename the search")
    if search["method"] == "evolution":
        yield from _evolution(place, search)
    if search["method"] == "gradient":
        yield from gradient_problems(place, search)
    yield from _budget(place, search, images)
    if search["method"] in ("evolution", "random"):
        yield from _rising((*place, "mutation_scale"), search["mutation_scale"])
        yield from _rising((*place, "mutation_share"), search["mutation_share"])


def _tuning(place: tuple[str, ...], tuning: Section, searches: Section) -> Iterator[Problem]:
    if tuning["start"] != "best-average" and tuning["start"] not in searches:
        expected = f"best-average, or a name in 'searches': {', '.join(searches)}"
        yield Problem((*place, "start"), found_in_words(tuning["start"]), expected)


def _budget(place: tuple[str, ...], search: Section, images: int) -> Iterator[Problem]:
    averages = len(search.get("initial_rates") or STARTS) + 2 + (search.get("warm_start") is not None)
    first = search["population"] if search["method"] == "evolution" else averages
    if search["evaluations"] is not None and search["evaluations"] < first:
        expected = f"at least {first}, the candidates of the first generation"
        yield Problem((*place, "evaluations"), str(search["evaluations"]), expected)
    if search["seconds"] is not None and search.get("shards", 1) > 1:
        way_out = "limit the evaluations instead: jobs that share a generation must agree when to stop"
        yield Problem((*place, "seconds"), str(search["seconds"]), "null with more than one shard", way_out)
    if search.get("racing") is not None:
        way_out = "limit the evaluations instead, which count images"
        if search["seconds"] is not None:
            yield Problem((*place, "seconds"), str(search["seconds"]), "null with racing", way_out)
        if search.get("shards", 1) > 1:
            yield Problem((*place, "racing"), "a section", "null with more than one shard", "heats take one job")
        if search["racing"]["images"] >= images:
            expected = f"fewer images than a score's ({images})"
            yield Problem((*place, "racing", "images"), str(search["racing"]["images"]), expected)


def _evolution(place: tuple[str, ...], search: Section) -> Iterator[Problem]:
    population, parents = search["population"], search["parents"]
    if parents > population:
        yield Problem((*place, "parents"), str(parents), f"at most the population ({population})")
    if parents < 2 and search["crossover"] > 0:
        way_out = "raise parents or set crossover to 0"
        yield Problem((*place, "parents"), str(parents), "two parents or more for crossover", way_out)
    scored = min(population * search["generations"], search["evaluations"] or math.inf)
    if search["finalists"] > scored:
        expected = f"at most the candidates scored ({scored})"
        yield Problem((*place, "finalists"), str(search["finalists"]), expected)
