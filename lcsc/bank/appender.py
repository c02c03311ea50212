"""A bank that grows by one checkpoint at a time, written by one process, whatever happens to that process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.bank import Bank
from lcsc.bank.index import INDEX, Index, Storage, index_text, read_index
from lcsc.bank.lock import locked, unlock
from lcsc.bank.segments import stored_rows
from lcsc.bank.writer import Base, bank_writer
from lcsc.checkpoints.base import Checkpoint, split_tied
from lcsc.checkpoints.validate import RunCheck
from lcsc.errors import InputError
from lcsc.files import make_folder, remove, write_text
from lcsc.run_table import flat_vector, table_of_run

# How a merged checkpoint of a recorded bank is written: with the module's own names.
_CONTAINER: Mapping[str, Any] = {"format": "safetensors", "state_key": None, "metadata": {}}


class BankAppender:
    """Appends checkpoints to the bank in ``folder``, which is made where there is none.

    Each becomes a segment, in place and on the disk when :meth:`append` returns. Raises :class:`InputError` where
    another process appends to the same bank, and for a bank of another ``track``.
    """

    def __init__(self, folder: Path | str, storage: Storage = "differences", track: str = "raw") -> None:
        self.folder, self._storage, self._track = Path(folder), storage, track
        make_folder(self.folder)
        self._lock = locked(self.folder, "give each training a bank of its own")
        try:
            self._index = self._found()
            self._check = self._check_of_last()
            self._tidy()
        except BaseException:
            self.close()
            raise
        self._base: Base | None = None

    @property
    def last_step(self) -> int | None:
        """The step of the bank's last checkpoint; None before there is any."""
        return self._index.checkpoints[-1].step if self._index else None

    def append(self, step: int, checkpoint: Checkpoint) -> None:
        """Store ``checkpoint`` of training step ``step``, a later one than all before.

        Raises :class:`InputError` where its tensors are not those of the checkpoints before, or not finite, and
        :class:`LcscError` where the disk is full; the bank stays as it was.
        """
        tensors = self._check.add(Path(f"step {step}"), checkpoint)
        table = table_of_run(self._check)
        with bank_writer(self.folder, 1, self._index, self._storage, self._base) as writer:
            writer.add(flat_vector(tensors, table), step=step, source=f"recorded at step {step}", sha256="")
            others, prefix = self._check.others(), self._check.prefix
            container = {**_CONTAINER, "name": f"step-{step:06d}.safetensors"}
            writer.finish(table, others, prefix=prefix, track=self._track, container=container)
        self._index, self._base = writer.written, writer.base

    def drop_after(self, step: int) -> int:
        """Take the checkpoints after ``step`` out of the bank and remove their files; how many there were.

        Raises :class:`InputError` where that would leave none, or would cut a segment.
        """
        if self._index is None:
            return 0
        dropped = [stored for stored in self._index.checkpoints if stored.step > step]
        if not dropped:
            return 0
        kept = dropped[0].segment
        if kept == 0:
            raise InputError(
                f"{self.folder}: found no checkpoint up to step {step} to go on from, but {len(dropped)} after it; "
                "give a new training a bank of its own, or remove this one"
            )
        if any(stored.segment >= kept and stored.step <= step for stored in self._index.checkpoints):
            raise InputError(f"{self.folder}: step {step} lies within a segment; only recorded banks can be cut there")
        self._index = self._index.first_segments(kept)
        write_text(self.folder / INDEX, index_text(self._index))
        self._check, self._base = self._check_of_last(), None
        self._tidy()
        return len(dropped)

    def close(self) -> None:
        """Let others append to the bank."""
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def _found(self) -> Index | None:
        if not (self.folder / INDEX).exists():
            orphans = list(self.folder.glob("segment-*.h5"))
            if len(orphans) > 1:
                raise InputError(
                    f"{self.folder}: found {len(orphans)} segments without their {INDEX}; choose another folder"
                )
            # A kill within a recorder's first save leaves one of one checkpoint; no collected bank has fewer than two.
            if orphans and (rows := stored_rows(orphans[0])) > 1:
                raise InputError(
                    f"{self.folder}: found 1 segment of {rows} checkpoints without its {INDEX}; choose another folder"
                )
            return None
        index = read_index(self.folder)
        if index.track != self._track:
            raise InputError(
                f"{self.folder}: found a bank of the track {index.track!r}, expected {self._track!r}; "
                "give each track a bank of its own"
            )
        return index

    def _check_of_last(self) -> RunCheck:
        """Checks against the bank's last checkpoint, if there is any."""
        check = RunCheck()
        if self._index is not None:
            bank = Bank.open(self.folder)
            last = split_tied(bank.restore_names(bank.unflatten(bank.checkpoint(bank.K - 1))))
            check.add(Path(f"{self.folder} (step {bank.steps[-1]})"), Checkpoint(*last))
        return check

    def _tidy(self) -> None:
        """Remove what a killed process left: files that are not whole, and segments that no index names."""
        named = {segment.file for segment in self._index.segments} if self._index else set()
        for path in [*self.folder.glob(".segment-*.part"), *self.folder.glob(f".{INDEX}.*.part")]:
            remove(path)
        for path in self.folder.glob("segment-*.h5"):
            if path.name not in named:
                remove(path)
