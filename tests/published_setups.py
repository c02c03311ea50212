"""The configurations of published set-ups at toy size, with files in the code bases' own formats and names."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from stand_ins import torchscript_inception

from lcsc.files import sha256_of
from lcsc.generators.networks import build_network

REPOSITORY = Path(__file__).resolve().parent.parent
CODE = Path(__file__).resolve().parent / "public_code_bases"
CHECKPOINTS, IMAGES = 4, 40
STEPS = range(1000, 1000 + 100 * CHECKPOINTS, 100)
OPENAI = {"raw": "model{:06d}.pt", "ema_0.9999": "ema_0.9999_{:06d}.pt", "target": "target_model{:06d}.pt"}
CLASSIFIER = {"kind": "classifier", "steps": 3, "batch": 16, "dimension": 6}
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class SetUp:
    """A configuration, the table of its network, its code base's folder, and arguments that make the network small."""

    name: str
    table: str
    code: str
    small: Mapping[str, Any]
    tracks: tuple[str, ...] = ("raw", "ema_0.9999")
    with_inception: bool = False

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as the repository has it."""
        found: dict[str, Any] = yaml.safe_load((REPOSITORY / "config" / f"{self.name}.yaml").read_text("utf-8"))
        return found

    @property
    def network(self) -> dict[str, Any]:
        """Its ``network`` section, with the stand-in in place of the code base."""
        places = [str(CODE / self.code), str(CODE / "shared")]
        return {**self.config["defaults"]["network"], "python_path": places}

    @property
    def small_network(self) -> dict[str, Any]:
        """The same with fewer channels."""
        return {**self.network, "args": _over(self.network["args"], self.small)}


_CONSISTENCY = ("raw", "ema_0.9999", "target")
_NARROW = {"model_channels": 4}
SETUPS = {
    setup.name: setup
    for setup in (
        SetUp("cifar10-ct", "cifar10-consistency-edm", "edm", _NARROW, _CONSISTENCY),
        SetUp("cifar10-cd", "cifar10-consistency-edm", "edm", _NARROW, _CONSISTENCY, with_inception=True),
        SetUp("cifar10-ddpm", "cifar10-ddpm", "ddim", {"config": {"model": {"ch": 4}}}),
        SetUp("imagenet64-cd", "imagenet64-consistency-adm", "consistency_models", {"num_channels": 4}, _CONSISTENCY),
        SetUp("imagenet64-ct", "imagenet64-consistency-adm", "consistency_models", {"num_channels": 4}, _CONSISTENCY),
        SetUp("imagenet64-iddpm", "imagenet64-iddpm", "improved-diffusion", {"num_channels": 4}),
    )
}


def _over(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """``first`` with the values of ``second`` in place of its own, sections within sections, too."""
    merged = {key: _over(first[key], value) if isinstance(value, dict) else value for key, value in second.items()}
    return {**copy.deepcopy(dict(first)), **merged}


def states(setup: SetUp) -> list[Tensors]:
    """Weights of a training that wanders from the stand-in's first ones; its buffers stay."""
    network = build_network(setup.small_network)
    buffers = {name for name, _ in network.named_buffers()}
    generator = torch.Generator().manual_seed(0)
    found: list[Tensors] = []
    state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    for _ in STEPS:
        for name in state.keys() - buffers:
            noise = torch.randn(state[name].shape, generator=generator)
            state[name] = state[name] + 0.1 * state[name].std(correction=0).clamp(min=0.01) * noise
        found.append(dict(state))
    return found


def write_run(setup: SetUp, folder: Path) -> list[Tensors]:
    """Write a run as its code base does, each track of other weights; returns the raw ones, by step."""
    folder.mkdir(parents=True)
    found = states(setup)
    for step, state in zip(STEPS, found, strict=True):
        averaged = {name: 0.5 * tensor for name, tensor in state.items()}
        if setup.code == "ddim":
            wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
            optimiser = {"state": {}, "param_groups": [{"lr": 2e-4}]}
            for name in (f"ckpt_{step}.pth", "ckpt.pth"):
                torch.save([wrapped, optimiser, 3, step, averaged], folder / name)
            continue
        for track in setup.tracks:
            torch.save(state if track == "raw" else averaged, folder / OPENAI[track].format(step))
        torch.save({"state": {}, "param_groups": []}, folder / f"opt{step:06d}.pt")
    return found


def write_cifar10(folder: Path) -> Path:
    """A small CIFAR-10 in the files of its authors."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        count = IMAGES if name == "test_batch" else IMAGES // 5
        batch = {"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8), "labels": [i % 4 for i in range(count)]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


def write_archive(path: Path, seed: int) -> Path:
    """Images of 64×64 in an archive as EDM's dataset_tool.py makes it."""
    rng = np.random.default_rng(seed)
    labels = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(IMAGES):
            name = f"00000/img{number:08d}.png"
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, "PNG")
            archive.writestr(name, stream.getvalue())
            labels.append([name, number % 4])
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return path


def inception_extractors(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Those of a configuration, of kind inception, with a stand-in's weights."""
    weights = torchscript_inception(folder / "inception.pt")
    own = {"weights": str(weights), "sha256": sha256_of(weights)}
    return {name: {**entry, **own} for name, entry in given.items() if entry["kind"] == "inception"}


def toy_extractors(data: str) -> dict[str, Any]:
    """Small ones under the names that the configurations have."""
    common = {**CLASSIFIER, "data": data}
    return {
        "inception": {**common, "architecture": "cnn", "seed": 1},
        "inception-gradient": {**common, "architecture": "cnn", "seed": 2},
        "efficientnet": {**common, "architecture": "mlp", "seed": 3},
    }


def toy_config(setup: SetUp, folder: Path) -> dict[str, Any]:
    """Its configuration with everything that costs made small, and its paths in ``folder``; the rest is as it is."""
    config = setup.config
    run, data = config["defaults"], config["defaults"]["data"]
    entry = config["data"][data]
    entry.pop("statistics", None)  # those are of Inception's features
    if entry["source"] == "cifar10":
        entry["path"] = str(write_cifar10(folder / entry["path"]))
    else:
        for seed, key in enumerate(("path", "held_out_path")):
            entry[key] = str(write_archive(folder / entry[key], seed))
    own = inception_extractors(config["extractors"], folder) if setup.with_inception else {}
    config |= {"device": "cpu", "threads": 1, "extractors": {**toy_extractors(data), **own}}
    run["network"] = setup.small_network
    run["checkpoints"] |= {"folder": str(folder / run["checkpoints"]["folder"]), "count": CHECKPOINTS}
    run["evaluation"] |= {"chunk": 16, "search": {"images": 16}, "selection": {"images": 16}}
    run["evaluation"]["report"] = {"images": 16, "blocks": 2}
    run["baselines"] = {"ema_shaped": [0.99], "windows": [2], "post_hoc": [0.1]}
    for search in run["searches"].values():
        search |= {"generations": 2, "generations_per_round": 2, "initial_rates": [0.99], "finalists": 2}
    run["searches"]["evolution"] |= {"population": 4, "parents": 2}
    return config
