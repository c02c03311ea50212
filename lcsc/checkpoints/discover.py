"""Finding the checkpoints of a training run in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lcsc.checkpoints.base import CheckpointFile
from lcsc.checkpoints.registry import FORMATS, format_of
from lcsc.errors import InputError


def find_checkpoints(folder: Path | str, pattern: str = "*") -> list[CheckpointFile]:
    """The checkpoint files of ``folder`` that match ``pattern`` (a glob), ordered by training step.

    Raises :class:`InputError` for none, fewer than two, two with one step, or several tracks.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(f"{folder}: found {found}, expected a folder of checkpoints")
    files = sorted((_described(path) for path in _candidates(folder, pattern)), key=lambda file: file.step)
    _check_count(folder, pattern, files)
    _check_one_run(folder, files)
    return files


def _candidates(folder: Path, pattern: str) -> list[Path]:
    suffixes = {suffix for known in FORMATS for suffix in known.suffixes}
    paths = (path for path in folder.glob(pattern) if path.is_file() and path.suffix in suffixes)
    return sorted(path for path in paths if not path.name.startswith("."))


def _described(path: Path) -> CheckpointFile:
    kind = format_of(path)
    step = kind.step_of(path)
    if step is None:
        raise InputError(f"{path}: found no training step, expected a number in its name or metadata 'step'; rename it")
    return CheckpointFile(path, step, kind.track_of(path))


def _check_count(folder: Path, pattern: str, files: Sequence[CheckpointFile]) -> None:
    if len(files) < 2:
        found = f"one checkpoint ({files[0].path.name})" if files else "no checkpoints"
        known = ", ".join(suffix for kind in FORMATS for suffix in kind.suffixes)
        raise InputError(
            f"{folder}: found {found} matching {pattern!r}, expected at least two; known suffixes are {known}"
        )


def _check_one_run(folder: Path, files: Sequence[CheckpointFile]) -> None:
    tracks = sorted({file.track for file in files})
    if len(tracks) > 1:
        raise InputError(
            f"{folder}: found the tracks {', '.join(tracks)}, expected one; choose its files with the pattern"
        )
    for one, other in pairwise(files):
        if one.step == other.step:
            raise InputError(
                f"{other.path}: found step {other.step}, which {one.path.name} has too, expected one file a "
                "step; choose one of them with the pattern"
            )
