"""Which keys the settings of a step may have: one that is misspelt must not pass for one that is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lcsc.config.problems import Problem, refuse, unknown_key, unknown_setting
from lcsc.config.schema import Node, read_schema

# Sections of settings that are those of a run, and those that are one entry of a section.
_OF_RUNS = ("network", "preconditioning", "sampler", "generator", "train", "evaluation", "baselines")
_OF_ENTRIES = {"search": "searches", "tune": "fine_tune", "landscape": "landscapes"}
# Steps whose settings are a section themselves, and what stands beside its keys.
_FLAT: Mapping[str, tuple[str, ...]] = {"data": ("name",), "extractor": ("name", "data_id", "threads"), "collect": ()}


def refuse_unknown(settings: Mapping[str, Any], step: str, known: tuple[str, ...]) -> None:
    """Refuse ``settings`` of ``step`` with a key that nothing reads; ``known`` are those of the first level."""
    problem = _of_flat(settings, step) if step in _FLAT else _of_sections(settings, known)
    if problem is not None:
        refuse(problem, "--settings")


def _of_flat(settings: Mapping[str, Any], step: str) -> Problem | None:
    own = {key: value for key, value in settings.items() if key not in _FLAT[step]}
    return unknown_setting(own, _flat(step))


def _of_sections(settings: Mapping[str, Any], known: tuple[str, ...]) -> Problem | None:
    for key, value in settings.items():
        if key not in known:
            return unknown_key((key,), sorted(known))
        node = _section(key)
        found = unknown_setting(value, node) if node is not None else None
        if found is not None:
            return found._replace(place=(key, *found.place))
    return None


def _flat(step: str) -> Node:
    schema = read_schema()
    if step == "collect":
        return _run_schema()["checkpoints"]
    section: Node = schema["properties"]["data" if step == "data" else "extractors"]["additionalProperties"]
    return section


def _section(key: str) -> Node | None:
    """The schema of what stands under ``key``; None where it is no section."""
    if key in _OF_ENTRIES:
        entries: Node = _run_schema()[_OF_ENTRIES[key]]["additionalProperties"]
        return entries
    return _run_schema()[key] if key in _OF_RUNS else None


def _run_schema() -> dict[str, Node]:
    properties: dict[str, Node] = read_schema()["$defs"]["run"]["properties"]
    return properties
