"""The index of a bank: its table of tensors, its checkpoints and its segments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.files import canonical_json, hash_of, parse_json, read_text

if TYPE_CHECKING:
    from lcsc.checkpoints.validate import Role

INDEX = "index.json"
Storage = Literal["float32", "differences"]
# Version 2 has checkpoints that are stored as differences from another; a bank without any is of version 1.
FORMAT, VERSIONS = "lcsc-bank", (1, 2)


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor stands: ``count`` values from ``offset`` on in the flat vector of P, -1 if not combined.

    ``role`` is "combined" (a weight), "constant" (the same in all checkpoints) or "counter" (the last
    checkpoint's). ``dtype`` is the one of the files, such as "float32"; ``aliases`` are names tied to it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int
    count: int
    role: Role
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint in the bank: where it came from and where it stands.

    ``source`` is relative to the collected folder, ``sha256`` the source file's, ``weights_sha256`` that of
    its flat float32 vector as it is read from the bank. ``row`` counts the segment's checkpoints of its kind: those
    stored as float32, or those stored as differences from checkpoint ``base`` of the bank, an earlier one.
    """

    step: int
    source: str
    sha256: str
    weights_sha256: str
    segment: int
    row: int
    base: int | None = None


@dataclass(frozen=True)
class StoredSegment:
    """An immutable file of some checkpoints; ``content`` names its weights and other tensors."""

    file: str
    bytes: int
    sha256: str
    rows: int
    others_sha256: str
    content: str


@dataclass(frozen=True)
class Index:
    """All that a bank says about its segments; ``container`` is how the source files were made."""

    tensors: tuple[TensorEntry, ...]
    checkpoints: tuple[StoredCheckpoint, ...]
    segments: tuple[StoredSegment, ...]
    prefix: str = ""
    track: str = "raw"
    container: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """P: how many values of a checkpoint are combined."""
        return sum(entry.count for entry in self.tensors if entry.role == "combined")

    @property
    def storage(self) -> Storage:
        """Whether any checkpoint is stored as differences."""
        return "differences" if any(stored.base is not None for stored in self.checkpoints) else "float32"

    @property
    def identity(self) -> str:
        """sha256 of what a merged checkpoint depends on: tensors, steps, weights, other tensors."""
        return hash_of(
            {
                "tensors": [asdict(entry) for entry in self.tensors],
                "track": self.track,
                "checkpoints": [[stored.step, stored.weights_sha256] for stored in self.checkpoints],
                "others": self.segments[-1].others_sha256,
            }
        )

    def first_segments(self, count: int) -> Index:
        """The index of the first ``count`` segments alone, as if nothing had been appended since."""
        kept = tuple(stored for stored in self.checkpoints if stored.segment < count)
        return replace(self, checkpoints=kept, segments=self.segments[:count])


def table_of(
    tensors: Sequence[tuple[str, tuple[int, ...], str, Role, tuple[str, ...]]],
) -> tuple[TensorEntry, ...]:
    """The table of tensors (name, shape, dtype, role, aliases), with combined ones laid end to end."""
    entries, offset = [], 0
    for name, shape, dtype, role, aliases in tensors:
        count = int(np.prod(shape, dtype=np.int64))
        combined = role == "combined"
        entries.append(TensorEntry(name, shape, dtype, offset if combined else -1, count, role, aliases))
        offset += count if combined else 0
    return tuple(entries)


def others_sha256(others: Mapping[str, NDArray[Any]]) -> str:
    """Hexadecimal sha256 of named arrays: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(others):
        value = others[name]
        digest.update(canonical_json([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def index_text(index: Index) -> str:
    """The content of the file of ``index``: JSON that ends with a checksum of itself."""
    from lcsc import __version__

    record = {**asdict(index), "parameters": index.parameters}
    for stored in record["checkpoints"]:
        if stored["base"] is None:
            del stored["base"]
    names = {"format": FORMAT, "format_version": _version(record), "lcsc_version": __version__}
    return canonical_json({**record, **names, "checksum": _checksum(record, __version__)}, indent=1) + "\n"


def read_index(folder: Path) -> Index:
    """The index of the bank in ``folder``; :class:`InputError` where it is missing, damaged or no index."""
    path = folder / INDEX
    found = read_text(path, kind="bank")  # once: a recorder may replace the file at any moment
    record = parse_json(path, found, kind="bank", versions=VERSIONS)
    try:
        content = {key: record[key] for key in (*Index.__dataclass_fields__, "parameters")}
        whole = record["checksum"] == _checksum(content, record["lcsc_version"])
        whole = whole and record["format_version"] == _version(record) and _bases_come_first(record["checkpoints"])
        whole = whole and all(Path(segment["file"]).name == segment["file"] for segment in record["segments"])
        text = canonical_json(record, indent=1) + "\n"
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole or found != text:
        raise InputError(f"{path}: its content does not match its checksum; it was changed, collect the bank again")
    return Index(
        tensors=tuple(
            TensorEntry(**{**entry, "shape": tuple(entry["shape"]), "aliases": tuple(entry["aliases"])})
            for entry in record["tensors"]
        ),
        checkpoints=tuple(StoredCheckpoint(**stored) for stored in record["checkpoints"]),
        segments=tuple(StoredSegment(**segment) for segment in record["segments"]),
        prefix=record["prefix"],
        track=record["track"],
        container=record["container"],
    )


def _version(record: Mapping[str, Any]) -> int:
    return VERSIONS[any("base" in stored for stored in record["checkpoints"])]


def _bases_come_first(checkpoints: Sequence[Mapping[str, Any]]) -> bool:
    return all(0 <= stored.get("base", 0) < max(k, 1) for k, stored in enumerate(checkpoints))


def _checksum(record: Mapping[str, Any], version: str) -> str:
    return hash_of({**record, "lcsc_version": version})
