"""The description of every key, made from the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lcsc.config.schema import Node, dereference
from lcsc.config.words import expected_in_words

_HEAD = """\
# The configuration, key by key

The default main job is `config.yaml`. Another file is taken with `snakemake --configfile FILE`; it is then
the whole configuration, not laid over the default one. Unknown keys are refused, with the nearest known name.
Numbers such as 1e-3 are written 0.001 or 1.0e-3, since YAML reads the short form as text.

Runs share what `defaults` says, and the images, extractors and reference statistics they have in common.
The configuration says what the experiment is; how much hardware there is stands in the profile
(`workflow/profiles/`).

This file is made from `workflow/schemas/config.schema.yaml` by `python -m lcsc.config > config/README.md`.
"""


def document(schema: Node) -> str:
    """A page in Markdown with a table of the keys of each section of ``schema``."""
    parts = [_HEAD, _table("Top level", schema, schema)]
    sections = list(_sections("", schema, schema))
    parts += [_table(f"`{path}`", node, schema) for path, node in sections]
    return "\n".join(parts)


def _sections(path: str, node: Node, schema: Node) -> Iterator[tuple[str, Node]]:
    """Every section below ``node`` with keys of its own; what ``defaults`` and ``runs`` share comes once."""
    for key, child in node.get("properties", {}).items():
        full = dereference(child, schema)
        below = f"{path}.{key}" if path else key
        if below == "runs":
            continue
        named = full.get("additionalProperties")
        if isinstance(named, dict):
            below, full = f"{below}.NAME", dereference(named, schema)
        inner: dict[str, Node] = {}  # sections that several kinds have come once, too
        for name, kind in full.get("x-kinds", {}).items():
            yield f"{below}` with `{full['x-by']}: {name}", dereference(kind, schema)
            inner.update(_sections(below, dereference(kind, schema), schema))
        yield from inner.items()
        if "properties" in full:
            yield below, full
            yield from _sections(below, full, schema)


def _table(title: str, node: Node, schema: Node) -> str:
    rows = [
        f"| `{key}` | {_cell(expected_in_words(child, schema))} | {_default(key, node, schema)} "
        f"| {_cell(dereference(child, schema)['description'])} |"
        for key, child in node["properties"].items()
    ]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", _cell(node["description"]), "", *head, *rows, ""])


def _default(key: str, node: Node, schema: Node) -> str:
    child = dereference(node["properties"][key], schema)
    if "default" in child and child["default"] != {}:
        return f"`{_cell(json.dumps(child['default']))}`"
    return "**required**" if key in node.get("required", []) and "default" not in child else ""


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|")
