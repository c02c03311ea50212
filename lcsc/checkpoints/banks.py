"""Banks as sources of checkpoints: what a recorder wrote, or what was collected before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, split_tied
from lcsc.errors import InputError

if TYPE_CHECKING:
    from lcsc.bank import Bank


class Banks:
    """A bank's folder, as it is now: what is appended later is not seen."""

    name = "bank"

    def recognises(self, run: RunFolder) -> bool:
        """Whether the folder has segments; an index that is missing is named when the bank is read."""
        return any(run.path.glob("segment-*.h5"))

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """All checkpoints, with the segments in which they stand; every byte of these is checked."""
        for key in ("pattern", "state_key"):
            if getattr(run, key) is not None:
                found = repr(getattr(run, key))
                raise InputError(f"{run.path}: found a bank, in which {key} {found} chooses nothing; leave it out")
        bank = _opened(run, verify=True)
        return [CheckpointFile(bank.path / bank.segment_file(k), step, bank.track) for k, step in enumerate(bank.steps)]

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The tensors under the names of the bank's own sources; counters are those of its last checkpoint."""
        bank = _opened(run)
        if file.step not in bank.steps:
            raise InputError(f"{run.path}: step {file.step} was there before and is not now; collect again")
        vector = bank.checkpoint(bank.steps.index(file.step))
        return Checkpoint(*split_tied(bank.restore_names(bank.unflatten(vector))))

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """That of the bank's own sources, under a name of the step."""
        bank = _opened(run)
        usual = Path(bank.container.get("name", bank.checkpoints[-1].source))
        return {**bank.container, "name": f"step-{file.step:06d}{usual.suffix}"}


def _opened(run: RunFolder, verify: bool = False) -> Bank:
    from lcsc.bank import Bank  # banks are made of checkpoints, so not at import

    return Bank.open(run.path, verify=verify)
