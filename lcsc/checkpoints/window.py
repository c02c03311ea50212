"""Which of a run's checkpoints are taken: a window of steps, a spacing, and a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lcsc.checkpoints.base import CheckpointFile
from lcsc.errors import InputError


@dataclass(frozen=True)
class Window:
    """Steps ``from_step`` to ``to_step``, at least ``every`` steps apart, ``count`` of them; None asks for nothing."""

    from_step: int | None = None
    to_step: int | None = None
    every: int | None = None
    count: int | None = None

    def choose(self, folder: Path, files: Sequence[CheckpointFile]) -> list[CheckpointFile]:
        """Those of ``files`` (rising steps) that are taken; the last one in the window always is.

        Raises :class:`InputError` where fewer than two, or fewer than ``count``, are left.
        """
        first = files[0].step if self.from_step is None else self.from_step
        last = files[-1].step if self.to_step is None else self.to_step
        kept = _spaced([file for file in files if first <= file.step <= last], self.every)
        if len(kept) < 2:
            raise InputError(
                f"{folder}: found {len(kept)} checkpoints from step {first} to {last}, expected at least two; "
                f"its steps go from {files[0].step} to {files[-1].step}"
            )
        if self.count is None:
            return kept
        if self.count < 2:
            raise InputError(f"{folder}: count: found {self.count}, expected at least two checkpoints")
        if self.count > len(kept):
            apart = f", {self.every} steps apart" if self.every else ""
            raise InputError(
                f"{folder}: found {len(kept)} checkpoints from step {first} to {last}{apart}, expected at least "
                f"{self.count}; lower 'count' or widen the window"
            )
        places = len(kept) - 1
        return [kept[places - round(k * places / (self.count - 1))] for k in range(self.count)][::-1]


def _spaced(files: Sequence[CheckpointFile], every: int | None) -> list[CheckpointFile]:
    # From the end backwards: the last checkpoint is the base from which all others are differences.
    kept: list[CheckpointFile] = []
    for file in reversed(files):
        if not kept or kept[-1].step - file.step >= (every or 0):
            kept.append(file)
    return kept[::-1]
