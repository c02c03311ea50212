"""What the shards of one generation leave for each other: files that say what they are a share of.

A share is a NumPy archive: a JSON text ``about`` and float arrays. It is an intermediate thing, which the workflow
removes once the generation stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcsc.data.npz_files import read_arrays
from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.files import canonical_json, hash_of, replacing
from lcsc.refusals import read_or_refuse
from lcsc.search.base import Candidate

FORMAT, FORMAT_VERSION = "lcsc-shard", 1
# How many shards there may be: what divides the fixed parts of a gradient (lcsc.gradients.PARTS).
COUNTS = (1, 2, 4, 8, 16)
STAGES = ("forward", "backward")
Stage = Literal["forward", "backward"]
FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Shard:
    """The share ``index`` (1 to ``count``) of ``count``."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count not in COUNTS or not 1 <= self.index <= self.count:
            counts = ", ".join(map(str, COUNTS))
            raise InputError(f"shard: found {self}, expected I/N with N one of {counts}, and I from 1 to N")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard written ``I/N``."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal()):
            raise InputError(f"shard: found {text!r}, expected I/N such as 2/4")
        return cls(int(index), int(count))

    def of(self, items: int) -> range:
        """Its share of ``items`` things in a row; what is left over goes round evenly."""
        return range(items * (self.index - 1) // self.count, items * self.index // self.count)


@dataclass(frozen=True)
class Task:
    """What the shards of one generation have in common; shares of another one are refused."""

    protocol: str
    bank: str
    settings: str
    generation: int
    parent: str | None
    candidates: str
    with_gradients: bool

    @classmethod
    def of(
        cls,
        about: Mapping[str, Any],
        generation: int,
        parent: str | None,
        candidates: Sequence[Candidate],
        with_gradients: bool,
    ) -> Task:
        """The task of scoring ``candidates``, those of ``generation`` of the search that ``about`` names."""
        asked = hash_of([candidate.fingerprint for candidate in candidates])
        settings = hash_of(about["settings"])
        return cls(about["protocol"], about["bank"], settings, generation, parent, asked, with_gradients)


@dataclass(frozen=True)
class Share:
    """What one shard of a stage made, by the place of the candidate in its generation.

    ``scores`` are settled. Of the other candidates of a gradient search there are the features [n, D] of the
    shard's images after the forward stage, and ``values`` (the distance) with this shard's sum of the gradient in
    the weights [P] after the backward stage. ``seconds`` is the time of this shard so far, ``device`` what it ran on.
    """

    task: Task
    stage: Stage
    shard: Shard
    scores: Mapping[int, Score] = field(default_factory=dict)
    values: Mapping[int, float] = field(default_factory=dict)
    arrays: Mapping[int, FloatArray] = field(default_factory=dict)
    seconds: float = 0.0
    device: str = "cpu"


def write_share(path: Path, share: Share) -> None:
    """Write ``share`` to ``path``."""
    scores = {str(place): [score.value, score.reason, score.seconds] for place, score in share.scores.items()}
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "task": asdict(share.task), "stage": share.stage}
    about |= {"shard": str(share.shard), "scores": scores, "seconds": share.seconds}
    about["device"] = share.device
    about["values"] = {str(place): value for place, value in share.values.items()}
    arrays: dict[str, Any] = {f"array-{place}": array for place, array in share.arrays.items()}
    arrays |= {f"gradient-{place}": s.gradient for place, s in share.scores.items() if s.gradient is not None}
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, about=np.asarray(canonical_json(about)), **arrays)


def read_share(path: Path) -> Share:
    """Read a share; :class:`InputError` where it is anything else."""
    about, arrays = read_or_refuse(path, lambda: _content(path), what="a shard of a generation")
    if about.get("format") != FORMAT or about.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: found format {about.get('format')!r}, expected {FORMAT!r}; give a file of a shard")
    scores = {
        int(place): Score(value, reason, seconds, arrays.get(f"gradient-{place}"))
        for place, (value, reason, seconds) in about["scores"].items()
    }
    kept = {int(name.split("-")[1]): array for name, array in arrays.items() if name.startswith("array-")}
    values = {int(place): value for place, value in about["values"].items()}
    task, shard = Task(**about["task"]), Shard.parse(about["shard"])
    return Share(task, about["stage"], shard, scores, values, kept, about["seconds"], about["device"])


def _content(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays = read_arrays(path, "a shard of a generation")
    return json.loads(str(arrays.pop("about"))), arrays


def read_shares(paths: Sequence[Path], task: Task, stage: Stage) -> list[Share]:
    """All shares of a ``stage`` of ``task``, in the order of the shards; any others are refused."""
    found: dict[int, tuple[Path, Share]] = {}
    for path in paths:
        share = read_share(path)
        _require(path, share, task, stage, len(paths))
        if share.shard.index in found:
            raise InputError(f"{path}: is shard {share.shard}, as {found[share.shard.index][0]} is; give each once")
        found[share.shard.index] = (path, share)
    return [found[index][1] for index in sorted(found)]


def _require(path: Path, share: Share, task: Task, stage: Stage, count: int) -> None:
    if share.stage != stage:
        raise InputError(f"{path}: is of the stage {share.stage}, expected {stage}; give the files of that stage")
    if share.shard.count != count:
        raise InputError(f"{path}: is shard {share.shard}, found {count} files; give those of all shards")
    for name, expected in asdict(task).items():
        found = getattr(share.task, name)
        if found != expected:
            raise InputError(
                f"{path}: {name} {_short(found)}, expected {_short(expected)}; it belongs to another generation or "
                "search: remove it and run its shard again"
            )


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)
