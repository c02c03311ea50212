"""What the schema allows, and what was found, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lcsc.config.schema import Node, dereference, types_of

_SHOWN = 60


def found_in_words(value: Any) -> str:
    """A short description of a value that a configuration holds."""
    if isinstance(value, Mapping):
        return "a section"
    if value is None:
        return "nothing (null)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def expected_in_words(node: Node, schema: Node) -> str:
    """A short description of what ``node`` of the schema allows."""
    node = dereference(node, schema)
    if "enum" in node:
        choices = [choice if isinstance(choice, str) else json.dumps(choice) for choice in node["enum"]]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    alternatives = [_type_in_words(kind, node, schema) for kind in types_of(node)]
    return " or ".join(alternatives) if alternatives else "any value"


def _type_in_words(kind: str, node: Node, schema: Node) -> str:
    match kind:
        case "integer" | "number":
            noun = "a whole number" if kind == "integer" else "a number"
            return " ".join([noun, *_range_in_words(node)])
        case "array":
            return _list_in_words(node, schema)
        case "object":
            return "a section"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case _ if "x-words" in node:
            return str(node["x-words"])
        case _:
            return f"text that matches {node['pattern']}" if "pattern" in node else "text"


def _range_in_words(node: Node) -> list[str]:
    if "exclusiveMinimum" in node and "exclusiveMaximum" in node:
        return [f"between {node['exclusiveMinimum']} and {node['exclusiveMaximum']}, both excluded"]
    limits = {
        "minimum": "of at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
    }
    words = [text.format(node[key]) for key, text in limits.items() if key in node]
    words += [f"a multiple of {node['multipleOf']}"] if "multipleOf" in node else []
    return [" and ".join(words)] if words else []


def _list_in_words(node: Node, schema: Node) -> str:
    fewest, most = node.get("minItems", 0), node.get("maxItems")
    count = f"{fewest} items" if fewest == most else f"at least {fewest} items" if fewest > 1 else "items"
    item = expected_in_words(node.get("items", {}), schema)
    different = ", all different" if node.get("uniqueItems") else ""
    return f"a list of {count}{different}, each {item}"
