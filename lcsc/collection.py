"""Collecting the checkpoints of a training run into a bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcsc.bank import Bank
from lcsc.bank_index import TensorEntry, table_of
from lcsc.bank_writer import BankWriter, bank_writer
from lcsc.checkpoints.base import Checkpoint, CheckpointFile
from lcsc.checkpoints.discover import find_checkpoints
from lcsc.checkpoints.registry import format_of
from lcsc.checkpoints.validate import RunCheck
from lcsc.errors import InputError
from lcsc.files import sha256_of
from lcsc.groups import block_of
from lcsc.progress import Progress

# The files that a run's section `checkpoints` takes where it says nothing else.
PATTERN = "*.safetensors"
# Metadata of a source file that would be false in a merged one.
_OF_ONE_STEP = ("step", "lcsc_recipe")


def collect(
    folder: Path | str,
    output: Path | str,
    *,
    pattern: str = "*",
    state_key: str | None = None,
    from_step: int | None = None,
    to_step: int | None = None,
) -> Bank:
    """Put the checkpoints of ``folder`` with steps ``from_step`` to ``to_step`` into a bank in ``output``.

    Each file is read, checked and written before the next is opened: one checkpoint is in memory at a time.
    Where a file does not fit or the disk is full, what stood in ``output`` is left as it was. Raises
    :class:`InputError` naming file and tensor, :class:`LcscError` where writing fails.
    """
    folder, output = Path(folder), Path(output)
    files = _window(folder, find_checkpoints(folder, pattern), from_step, to_step)
    intake = _Intake(folder, state_key)
    with bank_writer(output, len(files)) as writer:
        progress = Progress("checkpoints", len(files))
        for file in files:
            intake.take(file, writer)
            progress.advance()
        check = intake.check
        writer.finish(
            intake.table(),
            check.others(),
            prefix=check.prefix,
            track=files[0].track,
            container=intake.container,
        )
    return Bank.open(output)


class _Intake:
    """Takes the files of a run one by one into a bank."""

    def __init__(self, folder: Path, state_key: str | None) -> None:
        self.folder, self.state_key = folder, state_key
        self.check = RunCheck()
        self.container: dict[str, Any] = {}

    def take(self, file: CheckpointFile, writer: BankWriter) -> None:
        """Read, check and write one checkpoint."""
        kind = format_of(file.path)
        checkpoint = kind.read(file.path, self.state_key)
        tensors = self.check.add(file.path, checkpoint)
        source = file.path.relative_to(self.folder).as_posix()
        writer.add(_flat(tensors, self.table()), step=file.step, source=source, sha256=sha256_of(file.path))
        metadata = {key: text for key, text in checkpoint.metadata.items() if key not in _OF_ONE_STEP}
        self.container = {"format": kind.name, "state_key": self.state_key, "metadata": metadata}

    def table(self) -> tuple[TensorEntry, ...]:
        """The table of tensors, as far as the files seen tell."""
        role = self.check.role
        return table_of(
            [(spec.name, spec.shape, spec.dtype, role(spec.name), spec.aliases) for spec in self.check.specs]
        )


def _flat(tensors: Mapping[str, torch.Tensor], table: tuple[TensorEntry, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    combined = [entry for entry in table if entry.role == "combined"]
    vector = np.empty(sum(entry.count for entry in combined), np.float32)
    for entry in combined:
        values = tensors[entry.name].to(torch.float32).contiguous().reshape(-1)
        vector[entry.offset : entry.offset + entry.count] = values.numpy()
    return vector


def _window(
    folder: Path, files: list[CheckpointFile], from_step: int | None, to_step: int | None
) -> list[CheckpointFile]:
    first = files[0].step if from_step is None else from_step
    last = files[-1].step if to_step is None else to_step
    kept = [file for file in files if first <= file.step <= last]
    if len(kept) < 2:
        raise InputError(
            f"{folder}: found {len(kept)} checkpoints from step {first} to {last}, expected at least two; "
            f"its steps go from {files[0].step} to {files[-1].step}"
        )
    return kept


def list_checkpoints(
    folder: Path | str,
    *,
    pattern: str = "*",
    state_key: str | None = None,
    from_step: int | None = None,
    to_step: int | None = None,
) -> str:
    """What :func:`collect` would read from ``folder``, as text: the files, and the last one's tensors.

    Of the others the name and the metadata are read, but no tensor: only collecting finds whether they fit.
    """
    files = _window(Path(folder), find_checkpoints(folder, pattern), from_step, to_step)
    check = RunCheck()
    last: Checkpoint = format_of(files[-1].path).read(files[-1].path, state_key)
    check.add(files[-1].path, last)
    lines = [f"{len(files)} checkpoints, track {files[-1].track}, prefix {check.prefix or 'none'}"]
    lines += [f"  step {file.step}  {file.path}" for file in files]
    lines.append(f"{len(check.specs)} tensors; groups of kind 'block' in brackets")
    lines += [
        f"  {spec.name}  {list(spec.shape)}  {spec.dtype}  {check.role(spec.name)}  [{block_of(spec.name)}]"
        for spec in check.specs
    ]
    return "\n".join(lines)
