"""Finding the checkpoints of a training run in its folder: their family, their tracks, and one of these."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lcsc.checkpoints.base import CheckpointFile, Family, RunFolder
from lcsc.checkpoints.families import family_of
from lcsc.checkpoints.registry import FORMATS
from lcsc.errors import InputError

logger = logging.getLogger("lcsc")

RAW = "raw"


@dataclass(frozen=True)
class FoundRun:
    """The checkpoints of one track, ordered by step, and how many files each other track has."""

    family: Family
    files: list[CheckpointFile]
    track: str
    others: Mapping[str, int]


def find_run(run: RunFolder, family: str = "auto", track: str | None = None) -> FoundRun:
    """The checkpoints of ``track`` in the folder of ``run``.

    Without a track it is the only one there is, or else the raw weights, which a combination needs most: an EMA
    has already averaged away part of what the search could choose. Raises :class:`InputError` for fewer than two
    checkpoints, two of one step, an unknown track, and several tracks without raw weights.
    """
    if not run.path.is_dir():
        found = "a file" if run.path.exists() else "nothing"
        raise InputError(f"{run.path}: found {found}, expected a folder of checkpoints")
    kind = family_of(run, family)
    files = sorted(kind.find(run), key=lambda file: (file.step, file.path))
    _check_count(run, kind, files)
    counts = Counter(file.track for file in files)
    chosen = _chosen_track(run.path, counts, track)
    files = [file for file in files if file.track == chosen]
    _check_count(run, kind, files)
    _check_steps(files)
    return FoundRun(kind, files, chosen, {name: counts[name] for name in sorted(counts) if name != chosen})


def find_checkpoints(folder: Path | str, pattern: str | None = "*") -> list[CheckpointFile]:
    """The checkpoint files of ``folder`` that match ``pattern`` (a glob), ordered by training step."""
    return find_run(RunFolder(Path(folder), pattern)).files


def tracks_in_words(counts: Mapping[str, int]) -> str:
    """Tracks with their numbers of files: ``ema_0.999 (3), raw (3)``."""
    return ", ".join(f"{name} ({counts[name]})" for name in sorted(counts))


def _chosen_track(folder: Path, counts: Mapping[str, int], track: str | None) -> str:
    words = tracks_in_words(counts)
    if track is not None:
        if track not in counts:
            raise InputError(f"{folder}: track {track!r}: not found; expected one of those that are there: {words}")
        return track
    if len(counts) == 1:
        return next(iter(counts))
    if RAW not in counts:
        raise InputError(f"{folder}: found the tracks {words}, expected one; choose it with 'track'")
    logger.info("%s: found the tracks %s; taking raw (choose another with 'track')", folder, words)
    return RAW


def _check_count(run: RunFolder, family: Family, files: Sequence[CheckpointFile]) -> None:
    if len(files) < 2:
        found = f"one checkpoint ({files[0].path.name})" if files else "no checkpoints"
        known = ", ".join(suffix for kind in FORMATS for suffix in kind.suffixes)
        way = f"known suffixes are {known}" if family.name == "plain" else "choose the folder of a run with more"
        kind = "" if family.name == "plain" else f" of format {family.name!r}"
        raise InputError(
            f"{run.path}: found {found}{kind} matching {run.pattern or '*'!r}, expected at least two; {way}"
        )


def _check_steps(files: Sequence[CheckpointFile]) -> None:
    for one, other in pairwise(files):
        if one.step == other.step:
            raise InputError(
                f"{other.path}: found step {other.step}, which {one.path} has too, expected one file a "
                "step; choose one of them with the pattern"
            )
