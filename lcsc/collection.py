"""Collecting the checkpoints of a training run into a bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import torch

from lcsc.bank import Bank
from lcsc.bank_index import TensorEntry, table_of
from lcsc.bank_writer import BankWriter, bank_writer
from lcsc.checkpoints.base import CheckpointFile, RunFolder, content_sha256
from lcsc.checkpoints.discover import FoundRun, find_run, tracks_in_words
from lcsc.checkpoints.validate import RunCheck
from lcsc.checkpoints.window import Window
from lcsc.groups import block_of
from lcsc.progress import Progress


class Choice(TypedDict, total=False):
    """Which checkpoints of a folder are read, and how; the keys of a run's section ``checkpoints``.

    ``format`` names the family ("auto" tells it by content), ``pattern`` and ``state_key`` files and the weights in
    them, ``track`` what each save holds several of; ``from_step``, ``to_step``, ``every`` and ``count`` are the
    window.
    """

    format: str
    track: str | None
    pattern: str | None
    state_key: str | None
    from_step: int | None
    to_step: int | None
    every: int | None
    count: int | None


def collect(folder: Path | str, output: Path | str, **choice: Unpack[Choice]) -> Bank:
    """Put the checkpoints of ``folder`` that ``choice`` takes into a bank in ``output``.

    Each file is read, checked and written before the next is opened: one checkpoint is in memory at a time.
    Where a file does not fit or the disk is full, what stood in ``output`` is left as it was. Raises
    :class:`InputError` naming file and tensor, :class:`LcscError` where writing fails.
    """
    run, found, files = _found(folder, choice)
    output = Path(output)
    intake = _Intake(run, found)
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
            track=found.track,
            container=intake.container,
        )
    return Bank.open(output)


def _found(folder: Path | str, choice: Choice) -> tuple[RunFolder, FoundRun, list[CheckpointFile]]:
    run = RunFolder(Path(folder), choice.get("pattern"), choice.get("state_key"))
    found = find_run(run, choice.get("format", "auto"), choice.get("track"))
    window = Window(*(choice.get(key) for key in ("from_step", "to_step", "every", "count")))  # type: ignore[arg-type]
    return run, found, window.choose(run.path, found.files)


class _Intake:
    """Takes the files of a run one by one into a bank."""

    def __init__(self, run: RunFolder, found: FoundRun) -> None:
        self.run, self.found = run, found
        self.check = RunCheck()
        self.container: dict[str, Any] = {}

    def take(self, file: CheckpointFile, writer: BankWriter) -> None:
        """Read, check and write one checkpoint."""
        checkpoint = self.found.family.read(file, self.run)
        tensors = self.check.add(file.path, checkpoint)
        source = file.path.relative_to(self.run.path).as_posix()
        writer.add(_flat(tensors, self.table()), step=file.step, source=source, sha256=content_sha256(file.path))
        self.container = self.found.family.container(file, checkpoint, self.run)
        if self.found.others:
            self.container["dropped"] = [*self.container.get("dropped", []), *self.found.others]

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


def list_checkpoints(folder: Path | str, **choice: Unpack[Choice]) -> str:
    """What :func:`collect` would read from ``folder``, as text: the files, and the last one's tensors.

    Of the others the name and the metadata are read, but no tensor: only collecting finds whether they fit.
    """
    run, found, files = _found(folder, choice)
    check = RunCheck()
    check.add(files[-1].path, found.family.read(files[-1], run))
    lines = [f"{len(files)} checkpoints, track {found.track}, prefix {check.prefix or 'none'}"]
    others = f"; other tracks: {tracks_in_words(found.others)}" if found.others else ""
    lines.append(f"format {found.family.name}{others}")
    lines += [f"  step {file.step}  {file.path}" for file in files]
    lines.append(f"{len(check.specs)} tensors; groups of kind 'block' in brackets")
    lines += [
        f"  {spec.name}  {list(spec.shape)}  {spec.dtype}  {check.role(spec.name)}  [{block_of(spec.name)}]"
        for spec in check.specs
    ]
    return "\n".join(lines)
