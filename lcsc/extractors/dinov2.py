"""DINOv2 (Oquab et al. 2024) through timm, from a local file: the features of FD-DINOv2 (Stein et al. 2023).

They are the class token behind the last normalisation. An extractor's file holds the weights, with positional
embeddings already resampled to its size; the network's code is that of the installed timm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from lcsc.errors import InputError, whole_reason_of
from lcsc.extractors.weights import read_state, require_weights

KIND = "dinov2"
Tensors = Mapping[str, torch.Tensor]
# Where training code of timm and others keeps weights in a file, averages first.
NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")


class Normalised(nn.Module):
    """Images [B, 1 or 3, H, W] in [-1, 1] to the network's features [B, D]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Values from 0 to 1, less the mean, over the standard deviation of each channel."""
        values = ((images + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)
        features: torch.Tensor = self.network((values - self.mean) / self.std)
        return features


def load_body(tensors: Tensors, about: Mapping[str, Any]) -> nn.Module:
    """The network with these weights; RuntimeError where they do not fit."""
    with torch.random.fork_rng(devices=[]):
        network = _network(about["architecture"], about["resize"]["size"])
    network.load_state_dict(dict(tensors))
    return Normalised(network, about["mean"], about["std"])


def make(settings: Mapping[str, Any], weights: Path | None) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of an extractor's file and what it says of itself."""
    architecture, size = settings["architecture"], settings["size"]
    path = require_weights(weights, settings["sha256"])
    with torch.random.fork_rng(devices=[]):
        network = _network(architecture, size, path)
    about = {
        "architecture": architecture,
        "dimension": int(network.num_features),
        "mean": list(settings["mean"]),
        "std": list(settings["std"]),
        "resize": {"size": size, "mode": settings["resize"]},
        "weights": {"file": path.name, "sha256": settings["sha256"]},
    }
    return network.state_dict(), about


def _network(architecture: str, size: int, weights: Path | None = None) -> Any:
    """timm's network without a head; with ``weights``, which timm converts to its own names and to ``size``."""
    timm = _timm()
    if architecture not in timm.list_models():
        raise InputError(
            f"extractor of kind {KIND}: architecture is {architecture!r}, expected a name that timm {timm.__version__} "
            f"knows, such as {', '.join(timm.list_models('*dinov2*')[:2])}"
        )
    given = {}
    if weights is not None:  # read here: older versions of timm execute code that a file holds
        state = timm.models.clean_state_dict(read_state(weights, NESTED))
        # Without a head in the description, timm refuses names that are missing or left over.
        given = {"pretrained_cfg_overlay": {"state_dict": state, "num_classes": 0}}
    try:
        return timm.create_model(
            architecture, pretrained=weights is not None, num_classes=0, img_size=size, **given
        ).eval()
    except (RuntimeError, TypeError, ValueError, KeyError, OSError, AssertionError) as error:
        what = f"weights of {architecture}" if weights else f"{architecture} at {size} pixels"
        raise InputError(
            f"{weights or f'extractor of kind {KIND}'}: timm {timm.__version__} cannot make {what} "
            f"({whole_reason_of(error)}); give the architecture that the file is of, and a size it takes"
        ) from error


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise InputError(
            f"extractor of kind {KIND}: the package timm is not installed; run: pip install 'lcsc[timm]'"
        ) from error
    return timm
