"""Runs of OpenAI's code bases: improved-diffusion, guided-diffusion and consistency_models.

Each save is a set of files of flat state dicts: ``model000123.pt``, one ``ema_RATE_000123.pt`` for each rate,
``target_model000123.pt`` (consistency models), and the optimiser's ``opt000123.pt``, which is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from lcsc.checkpoints.base import CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.plain import Plain

_NAME = re.compile(r"(?:(?P<raw>model)|(?P<target>target_model)|(?P<ema>ema_[^/]+?)_)(?P<step>\d+)")


class OpenAI(Plain):
    """Raw weights, EMAs at several rates and the target network are tracks of one run."""

    name = "openai"

    def recognises(self, run: RunFolder) -> bool:
        """Whether a file has one of the names above; what it holds is read as plain files are."""
        return bool(self.find(run))

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """The files with such names; tracks "raw", "ema_RATE" and "target"."""
        return [file for path in files_in(run, [".pt"]) if (file := _described(path)) is not None]


def _described(path: Path) -> CheckpointFile | None:
    found = _NAME.fullmatch(path.stem)
    if found is None:
        return None
    track = found["ema"] or ("target" if found["target"] else "raw")
    return CheckpointFile(path, int(found["step"]), track)
