"""What a checkpoint is, whatever file it came from, and what file formats and families of runs must offer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from lcsc.files import hash_of, sha256_of
from lcsc.refusals import unreadable

# Of a training step, which is kept as a whole number of 64 bits.
MOST_DIGITS = 18


@dataclass(frozen=True)
class CheckpointFile:
    """A file of the weights saved at training step ``step``; ``track`` is "raw", an EMA or a target."""

    path: Path
    step: int
    track: str = "raw"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, and what the configuration says of how to read it.

    ``pattern`` is a glob, None for the family's own. ``state_key`` names the weights inside a nested file.
    ``trust_pickle`` allows pickled modules, for which ``python_path`` may hold the code base's own modules.
    """

    path: Path
    pattern: str | None = None
    state_key: str | None = None
    trust_pickle: bool = False
    python_path: tuple[str, ...] = ()


@dataclass
class Checkpoint:
    """The tensors of one file.

    ``tensors`` are on the CPU under the names of the file. Tied tensors stand once: ``aliases`` maps each
    further name to the one that was kept.
    """

    tensors: dict[str, torch.Tensor]
    aliases: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


class Format(Protocol):
    """A reader and writer of one family of files."""

    name: str
    suffixes: tuple[str, ...]

    def recognises(self, path: Path) -> bool:
        """Whether the content of ``path`` begins as files of this format do."""

    def step_of(self, path: Path) -> int | None:
        """The training step, from the file's metadata or else its name; None where neither says it."""

    def track_of(self, path: Path) -> str:
        """The track ("raw", "ema_0.97", ...) that the file belongs to."""

    def read(self, path: Path, state_key: str | None = None) -> Checkpoint:
        """The tensors of ``path``; ``state_key`` names the state dict inside a nested file.

        Raises :class:`InputError` for a truncated or foreign file and for one that would execute code.
        """

    def metadata_of(self, path: Path) -> dict[str, str]:
        """The text metadata of ``path``; empty for formats that have none."""

    def write(
        self,
        path: Path,
        tensors: Mapping[str, torch.Tensor],
        metadata: Mapping[str, str],
        state_key: str | None = None,
    ) -> None:
        """Write ``tensors`` (tied ones share memory), the same bytes for the same values.

        ``state_key`` nests the state dict as the files of the run do.
        """


class Family(Protocol):
    """What a code base's training leaves in its folder: which files, on which tracks, and how they are nested."""

    name: str

    def recognises(self, run: RunFolder) -> bool:
        """Whether the folder holds files of this family, by their content and, where that is common, their names."""

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """The checkpoints of all tracks, in any order; a file that holds two tracks stands twice."""

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The tensors of the file's track; :class:`InputError` as :meth:`Format.read` raises it."""

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """What a writer must know, as JSON can hold it, to put other weights in the place of ``checkpoint``."""


def files_in(run: RunFolder, suffixes: Sequence[str], usual: str = "*") -> list[Path]:
    """The files of ``run`` with one of ``suffixes`` that its pattern, or else ``usual``, chooses; hidden ones not."""
    paths = (path for path in run.path.glob(run.pattern or usual) if path.suffix in suffixes and path.is_file())
    return sorted(path for path in paths if not path.name.startswith("."))


def content_sha256(path: Path) -> str:
    """sha256 of a file, or of the names and hashes of all files of a folder."""
    if not path.is_dir():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hash_of({file.relative_to(path).as_posix(): sha256_of(file) for file in files})


def last_number(path: Path) -> int | None:
    """The last whole number in a file's name without its suffix: 1025 for ``step-001025.pt``."""
    numbers = re.findall(rf"\d{{1,{MOST_DIGITS}}}", path.stem)
    return int(numbers[-1]) if numbers else None


def starts_with(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of ``path``, fewer where it is shorter."""
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise unreadable(path, error, what="a checkpoint file", way="copy it again") from error


def split_tied(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors that share all their memory once, under their first name, and the other names as aliases."""
    kept: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.numel() == 0:
            kept[name] = tensor
            continue
        memory = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        first = seen.setdefault(memory, name)
        if first == name:
            kept[name] = tensor
        else:
            aliases[name] = first
    return kept, aliases
