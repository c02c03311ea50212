"""What is impossible together in a run's ``network``, ``generator`` and what is done with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem

Section = Mapping[str, Any]
Place = tuple[str, ...]


def network_problems(place: Place, run: Section) -> Iterator[Problem]:
    """Of the run at ``place``: the network or generator that it must have, and what does not go with them."""
    if "generator" in run:
        yield from _generator((*place, "generator"), run)
    elif "network" not in run:
        yield Problem((*place, "network"), "nothing", "'network' or 'generator'", "add one of them")
    else:
        yield from _named((*place, "network"), run["network"])
        yield from _labels((*place, "network"), run)
        if run["network"].get("autocast") == "float16":
            yield from _half_precision(place, run)


def _generator(place: Place, run: Section) -> Iterator[Problem]:
    if "network" in run:
        yield Problem(place, "'network' beside it", "one of the two", "remove one of them")
    if "train" in run:
        way_out = "give the run 'checkpoints', or a 'network' in place of the generator"
        yield Problem(place, "'train' beside it", "'checkpoints'", way_out)


def _named(place: Place, network: Section) -> Iterator[Problem]:
    if "factory" not in network and "diffusers" not in network:
        yield Problem((*place, "factory"), "nothing", "'factory' or 'diffusers'", "add one of them")
    if "factory" in network and "diffusers" in network:
        yield Problem((*place, "diffusers"), "'factory' beside it", "one of the two", "remove one of them")
    for key in ("python_path", "args_form"):
        if "diffusers" in network and network.get(key):
            yield Problem((*place, key), "'diffusers' beside it", "none", "it is for a factory, remove it")


def _labels(place: Place, run: Section) -> Iterator[Problem]:
    network = run["network"]
    for key in ("label_argument", "label_form"):
        if key in network and "classes" not in network:
            yield Problem((*place, key), f"{network[key]!r} without classes", "'classes' beside it", "add it")
    if "classes" in network and "train" in run:
        way_out = "trainings of the workflow's own take no labels: remove it, or give the run 'checkpoints'"
        yield Problem((*place, "classes"), "'train' beside it", "an unconditional network", way_out)


def _half_precision(place: Place, run: Section) -> Iterator[Problem]:
    """The slopes of a score are too small for float16."""
    users = [f"searches.{name}" for name, search in run["searches"].items() if search["method"] == "gradient"]
    users += [f"fine_tune.{name}" for name in run["fine_tune"] or {}]
    if users:
        found, expected = f"'float16' with gradients ({users[0]})", "'bfloat16' or null"
        yield Problem((*place, "network", "autocast"), found, expected, "float16 has no room for them: take another")
