"""Recording the checkpoints of any training loop into a bank."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import get_args

import torch
from torch import nn

from lcsc.bank.appender import BankAppender
from lcsc.bank.index import Storage
from lcsc.checkpoints.base import Checkpoint
from lcsc.errors import InputError
from lcsc.training.snapshot import not_finite, snapshot

logger = logging.getLogger("lcsc")

Model = nn.Module | Mapping[str, torch.Tensor]


class Recorder:
    """Saves a model's weights every ``every`` training steps as checkpoints of the bank in the folder ``bank``.

    Call it after each step: ``recorder(step, model)``. The call takes a copy of the weights to the host; a thread
    writes them. A checkpoint that has been written is safe from whatever happens next; closing the recorder (or
    leaving its ``with``) waits for the last. Only the first process of a distributed training writes.

    ``storage`` is "differences" (2.1 bytes a value) or "float32" (exact, 4 bytes); ``track`` names what is saved, such
    as "ema_0.999": each track has a bank of its own. A bank that is there is continued where the tensors are the same.
    ``resumed_from`` is the step that a training goes on from: the checkpoints after it are of a course that was given
    up, and are dropped. Without it, and without ``resumed_from``, steps that the bank has already are refused.

    Weights with NaN or infinities are not recorded but warned of, so that a training is never ended by them. What does
    end it, at the next call: a model whose tensors change, and a disk that cannot be written.
    """

    def __init__(
        self,
        bank: Path | str,
        every: int = 1,
        *,
        storage: Storage = "differences",
        track: str = "raw",
        resumed_from: int | None = None,
    ) -> None:
        if every < 1:
            raise InputError(f"every: found {every}, expected 1 or more training steps")
        if storage not in get_args(Storage):
            raise InputError(f"storage: found {storage!r}, expected one of {', '.join(get_args(Storage))}")
        self.bank, self.every = Path(bank), every
        self._called: int | None = None
        self._saved: int | None = None
        self._pending: Future[None] | None = None
        self._appender: BankAppender | None = None
        self._thread: ThreadPoolExecutor | None = None
        if _first_process():
            self._appender = BankAppender(bank, storage, track)
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="lcsc-recorder")
            self._go_on_from(resumed_from)

    def __call__(self, step: int, model: Model) -> bool:
        """Save ``model`` where training ``step`` reaches the next multiple of ``every``; whether it was taken."""
        before = step - 1 if self._called is None else self._called
        self._called = step
        return step // self.every > before // self.every and step > 0 and self.save(step, model)

    def save(self, step: int, model: Model) -> bool:
        """Save ``model`` as the checkpoint of ``step`` whatever ``every`` says; False where that is done already.

        Raises the error of the save before, if it failed. Raises :class:`InputError` for a step not after the bank's
        last.
        """
        if self._appender is None or step == self._saved:
            return False
        if self._thread is None:
            raise InputError(f"{self.bank}: the recorder is closed; make another one to go on")
        self.flush()
        self._require_new(step, self._appender.last_step)
        self._pending = self._thread.submit(self._write, self._appender, step, snapshot(model))
        self._saved = step
        return True

    def flush(self) -> None:
        """Wait until what was saved is on the disk; raises the error of the save where it failed."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Write what is left and let others append to the bank."""
        try:
            self.flush()
        finally:
            if self._thread is not None and self._appender is not None:
                self._thread.shutdown()
                self._appender.close()
            self._thread = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _go_on_from(self, step: int | None) -> None:
        if step is None or self._appender is None:
            return
        try:
            dropped = self._appender.drop_after(step)
        except BaseException:
            self.close()
            raise
        if dropped:
            logger.warning(
                "%s: dropped %d checkpoints after step %d, from which training goes on", self.bank, dropped, step
            )

    def _require_new(self, step: int, last: int | None) -> None:
        if last is not None and step <= last:
            raise InputError(
                f"{self.bank}: found step {step}, expected one after {last}, the bank's last; a training that resumed "
                "says from where by resumed_from=STEP, which drops the checkpoints after it; a new one needs a new bank"
            )

    def _write(self, appender: BankAppender, step: int, checkpoint: Checkpoint) -> None:
        name = not_finite(checkpoint)
        if name is not None:
            logger.warning("%s: step %d is not recorded: tensor %r has NaN or infinite values", self.bank, step, name)
            return
        try:
            appender.append(step, checkpoint)
        except Exception as error:
            # Said at once: after the last step nobody may ask for it.
            logger.error("%s: step %d is not recorded: %s", self.bank, step, error)
            raise


def _first_process() -> bool:
    """Whether this process is the one that writes; torchrun says it before the process group is there."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    return os.environ.get("RANK", "0") == "0"
