"""Checkpoints that Lightning's own trainer saved: collected, merged, and loaded by Lightning again."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lcsc.collection import collect
from lcsc.export import export_merged

pl = pytest.importorskip("lightning.pytorch", reason="needs the extra 'lightning'")
pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own, which change with its versions


class Averaged(pl.LightningModule):
    """A network with an average of it, hyperparameters and a part that is no network."""

    def __init__(self, width: int, args: argparse.Namespace) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 2))
        self.model_ema = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 2))
        self.loss_scale = nn.Parameter(torch.ones(1))

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        with torch.no_grad():
            for average, own in zip(self.model_ema.parameters(), self.model.parameters(), strict=True):
                average.lerp_(own, 0.5)
        return self.model(batch).square().mean() * self.loss_scale.square().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.mark.parametrize("track", ["raw", "ema"])
def test_a_merged_checkpoint_is_loaded_by_lightning(tmp_path: Path, track: str) -> None:
    torch.manual_seed(0)
    saving = pl.callbacks.ModelCheckpoint(tmp_path / "run", save_top_k=-1, every_n_train_steps=1, save_last=True)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(max_steps=3, accelerator="cpu", callbacks=[saving], default_root_dir=tmp_path, **quiet)
    trainer.fit(Averaged(4, argparse.Namespace(rate=0.5)), torch.utils.data.DataLoader(torch.randn(12, 3), 4))
    bank = collect(tmp_path / "run", tmp_path / "bank", track=track)
    assert bank.steps == [1, 2, 3]
    recipe = export_merged(
        bank, np.array([[0.5, -0.5, 1.0]]), output=tmp_path / "m.safetensors", native=tmp_path / "native"
    )
    (path,) = (tmp_path / "native").glob("*.ckpt")
    assert "optimizer_states" in recipe["container"]["dropped"]
    loaded = Averaged.load_from_checkpoint(path, weights_only=False)
    assert (loaded.hparams.width, loaded.hparams.args.rate) == (4, 0.5)
    states = [torch.load(tmp_path / "run" / c.source, weights_only=False)["state_dict"] for c in bank.checkpoints]
    part = "model." if track == "raw" else "model_ema."
    for name, tensor in loaded.model.state_dict().items():
        one, two, three = (state[part + name] for state in states)
        torch.testing.assert_close(tensor, 0.5 * one - 0.5 * two + three)
        assert torch.equal(tensor, loaded.model_ema.state_dict()[name])
    assert torch.equal(loaded.loss_scale, states[2]["loss_scale"])
