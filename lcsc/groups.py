"""Parameter groups: which weights share a row of coefficients."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from lcsc.bank.index import TensorEntry
from lcsc.errors import InputError

KINDS = ("all", "tensor", "tensor/N", "block")
REST = "rest"
_SLICED = re.compile(r"tensor/([1-9][0-9]*)")


@dataclass(frozen=True)
class Groups:
    """G groups of the combined weights.

    ``names`` are the groups' names [G], and ``runs`` say which group each of the P columns belongs to: (start, stop,
    row), in the bank's order, neighbours of one group joined.
    """

    names: tuple[str, ...]
    runs: tuple[tuple[int, int, int], ...]

    @property
    def G(self) -> int:  # noqa: N802
        """How many rows of coefficients there are."""
        return len(self.names)


def make_groups(tensors: Sequence[TensorEntry], kind: str | Sequence[str]) -> Groups:
    """Groups of the tensors that are combined.

    ``kind`` is "all" (one group, the paper's), "tensor" (one for each), "tensor/N" (each tensor cut along its first
    dimension, that of its outputs, into N slices or as many as it has outputs), "block" (one for each first two
    levels of the module path) or a list of module paths with ``*`` and ``?``: each tensor belongs to the
    first that fits it, and those that fit none are one more group, called "rest". Raises
    :class:`InputError` for an unknown kind and for a pattern that fits no tensor.
    """
    combined = [entry for entry in tensors if entry.role == "combined"]
    sliced = _SLICED.fullmatch(kind) if isinstance(kind, str) else None
    if sliced is not None:
        pieces = [piece for entry in combined for piece in _slices(entry, int(sliced[1]))]
    else:
        pieces = [(_label(entry.name, kind), entry.offset, entry.offset + entry.count) for entry in combined]
    names = _names([label for label, _, _ in pieces], "tensor" if sliced is not None else kind)
    rows = {name: row for row, name in enumerate(names)}
    return Groups(names, _runs([(start, stop, rows[label]) for label, start, stop in pieces]))


def _slices(entry: TensorEntry, most: int) -> Iterator[tuple[str, int, int]]:
    """The label and the columns of each slice of a tensor, as even as they go; vectors are not cut."""
    outputs = entry.shape[0] if len(entry.shape) > 1 else 1
    count = max(1, min(most, outputs))
    width = math.prod(entry.shape[1:]) if len(entry.shape) > 1 else entry.count
    bounds = [outputs * place // count * width for place in range(count + 1)]
    for first, last in pairwise(bounds):
        label = entry.name if count == 1 else f"{entry.name}[{first // width}:{last // width}]" if width else entry.name
        yield label, entry.offset + first, entry.offset + last


def _label(name: str, kind: str | Sequence[str]) -> str:
    if not isinstance(kind, str):
        return next((pattern for pattern in kind if _fits(name, pattern)), REST)
    if kind == "all":
        return "all"
    if kind == "tensor":
        return name
    if kind == "block":
        return block_of(name)
    raise InputError(f"groups: found {kind!r}, expected {', '.join(KINDS)} or a list of module-path patterns")


def block_of(name: str) -> str:
    """The first two levels of the module path of a tensor: ``layers.0`` for ``layers.0.linear.weight``."""
    levels = name.split(".")
    return ".".join(levels[: max(1, min(2, len(levels) - 1))])


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _names(labels: Sequence[str], kind: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(kind, str):
        return tuple(dict.fromkeys(labels))
    for pattern in kind:
        if pattern not in labels:
            raise InputError(f"groups: the pattern {pattern!r} is the first fit of no tensor; remove or reorder it")
    return (*dict.fromkeys(kind), *((REST,) if REST in labels and REST not in kind else ()))


def _runs(pieces: Sequence[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    runs: list[tuple[int, int, int]] = []
    for start, stop, row in pieces:
        if runs and runs[-1][2] == row:
            runs[-1] = (runs[-1][0], stop, row)
        elif stop > start:
            runs.append((start, stop, row))
    return tuple(runs)
