"""Plain state dicts, one file for each saved step, whatever code wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.registry import FORMATS, format_of
from lcsc.errors import InputError

# Metadata of a source file that would be false in a merged one.
_OF_ONE_STEP = ("step", "lcsc_recipe")


class Plain:
    """``.safetensors``, or files of ``torch.save`` that hold a state dict, flat or under ``state_key``."""

    name = "plain"

    def recognises(self, run: RunFolder) -> bool:
        """Always: what no other family claims is read as plain files."""
        return True

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """Without a pattern the ``.safetensors`` files, and where there are none the files of ``torch.save``."""
        for formats in [FORMATS] if run.pattern else [[kind] for kind in FORMATS]:
            paths = files_in(run, [suffix for kind in formats for suffix in kind.suffixes])
            if paths:
                return [_described(path) for path in paths]
        return []

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The file's tensors."""
        return format_of(file.path).read(file.path, run.state_key)

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """Format, key of the state dict, and the metadata that holds for all steps."""
        metadata = {key: text for key, text in checkpoint.metadata.items() if key not in _OF_ONE_STEP}
        return {"format": format_of(file.path).name, "state_key": run.state_key, "metadata": metadata}


def _described(path: Path) -> CheckpointFile:
    kind = format_of(path)
    step = kind.step_of(path)
    if step is None:
        raise InputError(f"{path}: found no training step, expected a number in its name or metadata 'step'; rename it")
    return CheckpointFile(path, step, kind.track_of(path))
