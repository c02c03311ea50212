"""Parameter groups: which tensors share a row of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lcsc.bank_index import TensorEntry
from lcsc.errors import InputError

KINDS = ("all", "tensor", "block")
REST = "rest"


@dataclass(frozen=True)
class Groups:
    """G groups of the combined tensors.

    ``names`` are the groups' names [G], ``rows`` the group of each combined tensor in the bank's order, and
    ``runs`` the same for the P columns: (start, stop, row), neighbours of one group joined.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    runs: tuple[tuple[int, int, int], ...]

    @property
    def G(self) -> int:  # noqa: N802
        """How many rows of coefficients there are."""
        return len(self.names)


def make_groups(tensors: Sequence[TensorEntry], kind: str | Sequence[str]) -> Groups:
    """Groups of the tensors that are combined.

    ``kind`` is "all" (one group, the paper's), "tensor" (one for each), "block" (one for each first two
    levels of the module path) or a list of module paths with ``*`` and ``?``: each tensor belongs to the
    first that fits it, and those that fit none are one more group, called "rest". Raises
    :class:`InputError` for an unknown kind and for a pattern that fits no tensor.
    """
    combined = [entry for entry in tensors if entry.role == "combined"]
    labels = [_label(entry.name, kind) for entry in combined]
    names = _names(labels, kind)
    rows = tuple(names.index(label) for label in labels)
    return Groups(names, rows, _runs(combined, rows))


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


def _runs(combined: Sequence[TensorEntry], rows: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    runs: list[tuple[int, int, int]] = []
    for entry, row in zip(combined, rows, strict=True):
        start, stop = entry.offset, entry.offset + entry.count
        if runs and runs[-1][2] == row:
            runs[-1] = (runs[-1][0], stop, row)
        elif entry.count:
            runs.append((start, stop, row))
    return tuple(runs)
