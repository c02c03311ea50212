"""The schema of the configuration, and the values it fills in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lcsc.config.yaml_files import read_yaml
from lcsc.errors import LcscError

Node = Mapping[str, Any]


def schema_path() -> Path:
    """Where the schema is: in the installed package, or in the workflow's folder of a checkout."""
    package = Path(__file__).resolve().parent.parent
    places = (package / "config.schema.yaml", package.parent / "workflow" / "schemas" / "config.schema.yaml")
    for place in places:
        if place.is_file():
            return place
    raise LcscError(f"{places[0]}: the schema of the configuration is missing; install lcsc again")


@cache
def read_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the configuration."""
    return read_yaml(schema_path())


def dereference(node: Node, schema: Node) -> Node:
    """``node`` with what its ``$ref`` points to filled in; keys that stand beside ``$ref`` win."""
    if "$ref" not in node:
        return node
    target: Any = schema
    for key in str(node["$ref"]).removeprefix("#/").split("/"):
        target = target[key]
    return {**dereference(target, schema), **{key: value for key, value in node.items() if key != "$ref"}}


def kind_of(value: Any, node: Node, schema: Node) -> Node:
    """The schema of ``value`` where it depends on one of its keys (``x-by``, ``x-kinds``): by default the first."""
    if "x-kinds" not in node:
        return node
    kinds = node["x-kinds"]
    named = value.get(node["x-by"]) if isinstance(value, Mapping) else None
    known = isinstance(named, str) and named in kinds
    return dereference(kinds[named] if known else next(iter(kinds.values())), schema)


def types_of(node: Node) -> list[str]:
    """The JSON types that ``node`` allows."""
    named = node.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def completed(value: Any, node: Node, schema: Node) -> Any:
    """A copy of ``value``, which must be valid, with the schema's defaults filled in.

    A key that another one stands in for (``x-unless``) has no default beside it; one without a default stays away.
    Whole numbers become floats where the schema says number: ``80`` and ``80.0`` are the same setting, with
    the same hash.
    """
    node = kind_of(value, dereference(node, schema), schema)
    if isinstance(value, Mapping):
        return _completed_section(value, node, schema)
    if isinstance(value, list):
        items = node.get("items", {})
        return [completed(item, items, schema) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types_of(node):
        return float(value)
    return copy.deepcopy(value)


def _completed_section(value: Mapping[str, Any], node: Node, schema: Node) -> dict[str, Any]:
    properties, others = node.get("properties", {}), node.get("additionalProperties", {})
    section = dict(value)
    for key, child in properties.items():
        default = dereference(child, schema)
        if key not in section and "default" in default and default.get("x-unless") not in section:
            section[key] = default["default"]
    return {
        key: completed(item, properties.get(key, others if isinstance(others, Mapping) else {}), schema)
        for key, item in section.items()
    }
