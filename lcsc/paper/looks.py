"""How methods look in figures over several runs: a variant of a search has the colour of what it varies."""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.report.style import BASELINE_LOOKS, METHOD_PLACES, Look, looks


def paper_looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each method; that of ``gradient-penalty``, which no style knows, is that of ``gradient``."""
    known = {name: original(name) for name in names}
    found = looks(list(dict.fromkeys(known.values())))
    return {name: found[known[name]] for name in names}


def original(name: str) -> str:
    """The longest beginning of ``name``, up to a hyphen, that has a look of its own; ``name`` where none has."""
    parts = name.split("-")
    beginnings = ("-".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((each for each in beginnings if each in BASELINE_LOOKS or each in METHOD_PLACES), name)
