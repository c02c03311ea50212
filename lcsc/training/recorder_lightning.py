"""The recorder as a callback of Lightning (the extra ``lightning``)."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from lcsc.bank.index import Storage
from lcsc.training.recorder import Recorder


class RecorderCallback(pl.Callback):
    """Records the weights of a LightningModule every ``every`` optimiser steps into the bank in the folder ``bank``.

    ``module`` names what is recorded, such as "model" or "ema.module"; without it, the whole LightningModule. A fit
    that goes on from a checkpoint of Lightning's continues the bank from that step. For the rest see
    :class:`lcsc.Recorder`.
    """

    def __init__(
        self,
        bank: Path | str,
        every: int = 1,
        *,
        module: str | None = None,
        storage: Storage = "differences",
        track: str = "raw",
    ) -> None:
        self._options: dict[str, Any] = {"bank": bank, "every": every, "storage": storage, "track": track}
        self._module = module
        self._recorder: Recorder | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bank, at the step that the training begins from."""
        self._recorder = Recorder(**self._options, resumed_from=trainer.global_step or None)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Record where the next multiple of ``every`` is reached."""
        if self._recorder is not None:
            self._recorder(trainer.global_step, attrgetter(self._module)(pl_module) if self._module else pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what is left."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write what is left, whatever ended the training."""
        self._close()

    def _close(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
