"""Tensor names: the prefixes that wrappers add, and an order that does not depend on the file format."""

from __future__ import annotations

import re
from collections.abc import Iterable

WRAPPERS = ("module.", "_orig_mod.", "model.")


def strip_prefix(names: Iterable[str], wrappers: tuple[str, ...] = WRAPPERS) -> tuple[str, list[str]]:
    """The prefix that wrappers (data parallel, compiled, Lightning) gave to ALL names, and the bare names.

    Prefixes are removed as often as all names have one: ``module._orig_mod.a`` becomes ``a``.
    """
    stripped = list(names)
    prefix = ""
    while stripped:
        found = next((known for known in wrappers if all(_has(name, known) for name in stripped)), None)
        if found is None:
            break
        prefix += found
        stripped = [name[len(found) :] for name in stripped]
    return prefix, stripped


def _has(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and len(name) > len(prefix)


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """A sort key that counts: ``layers.2.weight`` comes before ``layers.10.weight``."""
    parts = re.split(r"(\d{1,18})", name)  # Python makes no number of thousands of digits
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts)
