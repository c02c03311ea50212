"""The recorder as a callback of Lightning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lcsc.bank import Bank

pl = pytest.importorskip("lightning.pytorch", reason="needs the extra 'lightning'")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own, which change with its versions


class Regression(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(3, 2)
        self.other = nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.model(batch).square().mean() + self.other.weight.square().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(folder: Path, steps: int, module: str | None, resume: str | None = None, accumulate: int = 1) -> None:
    from lcsc.training.recorder_lightning import RecorderCallback

    trainer = pl.Trainer(
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[
            RecorderCallback(folder / "bank", every=4, module=module),
            pl.callbacks.ModelCheckpoint(folder / "own", every_n_train_steps=8, save_top_k=-1, filename="{step}"),
        ],
    )
    data = torch.utils.data.DataLoader(torch.randn(400, 3), batch_size=4)
    trainer.fit(Regression(), data, ckpt_path=resume)


def test_a_fit_is_recorded_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path, 22, "model")
    bank = Bank.open(tmp_path / "bank")
    assert bank.steps == [4, 8, 12, 16, 20]
    assert [entry.name for entry in bank.tensors] == ["bias", "weight"]
    state = torch.load(tmp_path / "own" / "step=16.ckpt", weights_only=True)["state_dict"]
    own = {name: state[f"model.{name}"] for name in ("weight", "bias")}
    assert abs(bank.checkpoint(3) - bank.flatten(own)).max() < 1e-4
    fit(tmp_path, 28, "model", resume=str(tmp_path / "own" / "step=8.ckpt"))
    assert Bank.open(tmp_path / "bank", verify=True).steps == [4, 8, 12, 16, 20, 24, 28]


def test_the_whole_module_and_gradients_of_several_batches(tmp_path: Path) -> None:
    fit(tmp_path, 8, None, accumulate=3)
    bank = Bank.open(tmp_path / "bank")
    assert bank.steps == [4, 8]
    assert {entry.name for entry in bank.tensors} == {
        f"{module}.{tensor}" for module in ("model", "other") for tensor in ("weight", "bias")
    }
