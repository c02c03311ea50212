"""From what the user wrote to complete settings of every run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.config.checks import check_values
from lcsc.config.problems import Problem, keys_that_are_no_text, refuse, schema_problem
from lcsc.config.schema import Node, completed, dereference, kind_of, read_schema
from lcsc.config.yaml_files import read_yaml

_KINDS = ("factory", "kind", "recipe", "method")
# Sections of a run that put others of the defaults out of force.
_INSTEAD = {
    "train": ("checkpoints",),
    "checkpoints": ("train", "window"),
    "training_of": ("train", "checkpoints"),
    "network": ("generator",),
    "generator": ("network", "preconditioning", "sampler"),
}
_EITHER = ("factory", "diffusers")  # of a network, one names what the other does


def load_config(path: Path | str) -> dict[str, Any]:
    """The resolved configuration that stands in the YAML file ``path``; see :func:`resolve`."""
    return resolve(read_yaml(path), source=str(path))


def resolve(config: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """A configuration, checked and complete: each run holds all its settings, and ``defaults`` is gone.

    ``source`` names the file in messages. A resolved configuration is returned as it is. Raises
    :class:`lcsc.errors.InputError` with one line for the first thing that is wrong.
    """
    if problem := keys_that_are_no_text(config):
        refuse(problem, source)
    given = _plain(config)
    # First what was written, so that messages name the places where it was; then what it adds up to.
    if problem := schema_problem(given, complete=False) or _two_trainings(given):
        refuse(problem, source)
    full = _with_merged_runs(given)
    if problem := schema_problem(full, complete=True):
        refuse(_where_written(problem, given), source)
    resolved: dict[str, Any] = completed(full, read_schema(), read_schema())
    if problem := check_values(resolved):
        refuse(_where_written(problem, given), source)
    return resolved


def _plain(value: Any) -> Any:
    """A copy with plain dicts and lists, whatever mappings Snakemake hands over."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return copy.deepcopy(value)


def _two_trainings(config: Mapping[str, Any]) -> Problem | None:
    runs = config.get("runs", {})
    sections: dict[tuple[str, ...], Any] = {("runs", name): run for name, run in runs.items()}
    sections["defaults",] = config.get("defaults", {})
    for place, section in sections.items():
        given = [key for key in ("train", "training_of") if key in section]
        if given and "checkpoints" in section:
            return Problem((*place, given[0]), "'checkpoints' beside it", "one of the two", "remove one of them")
    return None


def _with_merged_runs(given: Mapping[str, Any]) -> dict[str, Any]:
    full = {key: value for key, value in given.items() if key != "defaults"}
    if "runs" in full:
        full["runs"] = {name: _merged_run(given.get("defaults", {}), run) for name, run in full["runs"].items()}
        _share_trainings(full["runs"])
    return full


def _share_trainings(runs: dict[str, Any]) -> None:
    """Give every run that shares a training what the other says of it; a name that is not there is refused later."""
    for run in runs.values():
        other = runs.get(run.get("training_of"), {})
        if "train" in other:
            run.setdefault("train", copy.deepcopy(other["train"]))


def _merged_run(defaults: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {other for key in run for other in _INSTEAD.get(key, ())}
    node = read_schema()["$defs"]["run"]
    merged = _merged({key: value for key, value in defaults.items() if key not in dropped}, run, node)
    for key in ("searches", "fine_tune", "landscapes"):
        if isinstance(merged.get(key), dict):
            merged[key] = {name: entry for name, entry in merged[key].items() if entry is not None}
    return _with_suited_rates(merged) if "checkpoints" in merged else merged


def _with_suited_rates(run: dict[str, Any]) -> dict[str, Any]:
    """``run`` with null for rates of averages that it does not name: the schema's suit the workflow's own trainings."""
    schema = read_schema()
    node = schema["$defs"]["run"]
    baselines = run.setdefault("baselines", {})
    if isinstance(baselines, dict):  # the schema says what is wrong with others
        baselines.setdefault("ema_shaped", None)
    for section in ("searches", "fine_tune"):
        known = run.get(section)
        for name, entry in known.items() if isinstance(known, dict) else ():
            own = kind_of(entry, _child(_child(node, section), name), schema)
            if isinstance(entry, dict) and "initial_rates" in own["properties"]:
                entry.setdefault("initial_rates", None)
    return run


def _merged(below: Mapping[str, Any], above: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """``above`` over ``below``, section by section; a section of another kind replaces the one below it."""
    merged = copy.deepcopy(dict(below))
    for key, value in above.items():
        former = merged.get(key)
        child = _child(node, key)
        if isinstance(value, Mapping) and isinstance(former, Mapping) and _same_kind(former, value, child):
            merged[key] = _merged(former, value, child)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _child(node: Node, key: str) -> Node:
    """The schema of what stands under ``key`` of a section; empty where the schema says nothing."""
    named = node.get("properties", {}).get(key, node.get("additionalProperties"))
    return dereference(named, read_schema()) if isinstance(named, Mapping) else {}


def _same_kind(below: Mapping[str, Any], above: Mapping[str, Any], node: Node) -> bool:
    """Whether both sections are of one kind; one that does not say is of the schema's default kind."""
    if any(key in above for key in _EITHER) and any(key in below and key not in above for key in _EITHER):
        return False
    return all(below.get(key, _default_kind(key, above[key], node)) == above[key] for key in _KINDS if key in above)


def _default_kind(key: str, otherwise: Any, node: Node) -> Any:
    if node.get("x-by") == key:
        return next(iter(node["x-kinds"]))
    return _child(node, key).get("default", otherwise)


def _where_written(problem: Problem, given: Mapping[str, Any]) -> Problem:
    """``problem`` with its place moved from the run to ``defaults`` where the value was written there."""
    if problem.place[:1] != ("runs",) or len(problem.place) < 3:
        return problem
    below = ("defaults", *problem.place[2:])
    if not _stands(given, problem.place) and _stands(given, below):
        return problem._replace(place=below)
    return problem


def _stands(given: Any, place: tuple[str | int, ...]) -> bool:
    for part in place:
        try:
            given = given[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
