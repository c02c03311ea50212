"""Collecting the checkpoints of a training run into a bank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from lcsc.bank import Bank
from lcsc.bank.index import Storage
from lcsc.bank.lock import collecting
from lcsc.bank.writer import BankWriter, bank_writer
from lcsc.checkpoints.base import CheckpointFile, RunFolder, content_sha256
from lcsc.checkpoints.discover import FoundRun, find_run, tracks_in_words
from lcsc.checkpoints.validate import RunCheck
from lcsc.checkpoints.window import Window
from lcsc.groups import block_of
from lcsc.progress import Progress
from lcsc.run_table import flat_vector, table_of_run


class Choice(TypedDict, total=False):
    """Which checkpoints of a folder are read, and how; the keys of a run's section ``checkpoints``.

    ``format`` names the family ("auto" tells it by content), ``pattern`` and ``state_key`` files and the weights in
    them, ``track`` what each save holds several of; ``from_step``, ``to_step``, ``every`` and ``count`` are the
    window; ``trust_pickle`` and ``python_path`` are for pickled modules.
    """

    format: str
    track: str | None
    pattern: str | None
    state_key: str | None
    from_step: int | None
    to_step: int | None
    every: int | None
    count: int | None
    trust_pickle: bool
    python_path: Sequence[str]


def collect(folder: Path | str, output: Path | str, *, storage: Storage = "float32", **choice: Unpack[Choice]) -> Bank:
    """Put the checkpoints of ``folder`` that ``choice`` takes into a bank in ``output``.

    ``storage`` "differences" keeps 2.1 bytes of a value in place of 4, and most checkpoints not exactly
    (:mod:`lcsc.bank.differences`).

    Each file is read, checked and written before the next is opened: one checkpoint is in memory at a time.
    Where a file does not fit or the disk is full, what stood in ``output`` is left as it was. Raises
    :class:`InputError` naming file and tensor, and where a recorder appends to ``output``, :class:`LcscError` where
    writing fails.
    """
    run, found, files = _found(folder, choice)
    output = Path(output)
    intake = _Intake(run, found, files[-1])
    with collecting(output), bank_writer(output, len(files), storage=storage) as writer:
        progress = Progress("checkpoints", len(files))
        for file in files:
            intake.take(file, writer)
            progress.advance()
        check = intake.check
        writer.finish(
            table_of_run(check),
            check.others(),
            prefix=check.prefix,
            track=found.track,
            container=intake.container,
        )
    return Bank.open(output)


def _found(folder: Path | str, choice: Choice) -> tuple[RunFolder, FoundRun, list[CheckpointFile]]:
    run = RunFolder(
        Path(folder),
        choice.get("pattern"),
        choice.get("state_key"),
        choice.get("trust_pickle", False),
        tuple(choice.get("python_path", ())),
    )
    found = find_run(run, choice.get("format", "auto"), choice.get("track"))
    window = Window(*(choice.get(key) for key in ("from_step", "to_step", "every", "count")))  # type: ignore[arg-type]
    return run, found, window.choose(run.path, found.files)


class _Intake:
    """Takes the files of a run one by one into a bank."""

    def __init__(self, run: RunFolder, found: FoundRun, last: CheckpointFile) -> None:
        self.run, self.found, self.last = run, found, last
        self.check = RunCheck()
        self.container: dict[str, Any] = {}
        self._hashes: dict[Path, str] = {}  # a segment of a bank holds many checkpoints, and is hashed once

    def take(self, file: CheckpointFile, writer: BankWriter) -> None:
        """Read, check and write one checkpoint."""
        checkpoint = self.found.family.read(file, self.run)
        tensors = self.check.add(file.path, checkpoint)
        source = file.path.relative_to(self.run.path).as_posix()
        vector = flat_vector(tensors, table_of_run(self.check))
        if file.path not in self._hashes:
            self._hashes[file.path] = content_sha256(file.path)
        writer.add(vector, step=file.step, source=source, sha256=self._hashes[file.path])
        if file == self.last:
            self.container = self.found.family.container(file, checkpoint, self.run)
            if self.found.others:
                self.container["dropped"] = [*self.container.get("dropped", []), *self.found.others]


def list_checkpoints(folder: Path | str, **choice: Unpack[Choice]) -> str:
    """What :func:`collect` would read from ``folder``, as text: the files, and the tensors of each.

    Each file is read and checked as it would be when collected, one at a time; nothing is written. Raises
    :class:`InputError` for the first that does not fit.
    """
    run, found, files = _found(folder, choice)
    check = RunCheck()
    for file in files:
        check.add(file.path, found.family.read(file, run))
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
