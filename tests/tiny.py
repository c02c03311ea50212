"""A tiny run made by the package's own functions: data, two extractors, a training, a bank, references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lcsc.bank import Bank
from lcsc.collection import collect
from lcsc.data import load_part, prepare
from lcsc.extractors import Extractor, load_extractor
from lcsc.metrics.reference_file import ReferenceFile, read_reference
from lcsc.reference import build_reference
from lcsc.runtime import deterministic
from lcsc.scoring import Context
from lcsc.training.classifier import train_extractor
from lcsc.training.loop import train

CPU = torch.device("cpu")
SCORING = {
    "network": {
        "factory": "lcsc.generators.networks:ResidualMLP",
        "args": {"image_shape": [1, 8, 8], "width": 16, "depth": 1},
        "image_shape": [1, 8, 8],
    },
    "preconditioning": {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5},
    "sampler": {"kind": "consistency", "sigmas": [80.0]},
    "evaluation": {"seed": 0, "chunk": 50, "candidates_per_block": 3},
    "threads": 1,
}
TRAIN = {
    "recipe": "consistency", "steps": 40, "batch": 32, "learning_rate": 0.003, "seed": 0,
    "save_from": 5, "save_every": 5, "scales": [10, 20], "ema_rates": [0.8, 0.9],
}  # fmt: skip
# The settings of a training, which makes no samples.
TRAINING = {**{key: SCORING[key] for key in ("network", "preconditioning", "threads")}, "train": TRAIN}
EXTRACTOR = {
    "kind": "classifier", "dimension": 6, "steps": 30, "batch": 32, "learning_rate": 0.003, "noise": 0.3,
}  # fmt: skip


@dataclass(frozen=True)
class TinyRun:
    """Where everything is."""

    folder: Path

    @property
    def bank(self) -> Bank:
        return Bank.open(self.folder / "bank")

    def extractor(self, name: str) -> Extractor:
        return load_extractor(self.folder / f"{name}.safetensors", CPU)

    def reference(self, name: str, part: str = "train") -> ReferenceFile:
        return read_reference(self.folder / f"{part}.{name}.h5")

    def context(self, workers: int = 1) -> Context:
        return Context.open(SCORING, self.folder / "bank", CPU, workers)


def make_tiny_run(folder: Path) -> TinyRun:
    """Make it in ``folder``; takes about a second."""
    with deterministic(1):
        prepare({"source": "digits", "held_out": 300, "seed": 0}, folder)
        part = load_part(folder / "train.npz")
        for schedule in ("constant", "decayed"):
            train({**SCORING, "train": TRAIN}, part, folder / schedule, schedule)
        for seed, name in enumerate(("cnn", "mlp")):
            path = folder / f"{name}.safetensors"
            train_extractor({**EXTRACTOR, "architecture": name, "seed": seed}, part, path)
            for images in ("train", "held-out"):
                build_reference(folder / f"{images}.npz", path, folder / f"{images}.{name}.h5", CPU)
        collect(folder / "constant" / "checkpoints", folder / "bank")
    return TinyRun(folder)
