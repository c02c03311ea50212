"""Small networks of random weights with the signatures of the published ones."""

from __future__ import annotations

import warnings
from pathlib import Path
from unittest import mock

import torch
from cleanfid import inception_pytorch
from torch import nn


class TorchScriptInception(nn.Module):
    """The signature of inception-2015-12-05.pt: ``layers`` for pixels of 299, and a resize of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 11, stride=9, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 2048, 3, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)),
        )  # fmt: skip
        self.output = nn.Linear(2048, 1008)

    def forward(
        self, img: torch.Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> torch.Tensor:
        x = nn.functional.interpolate(img.to(torch.float32), size=[299, 299], mode="bilinear", align_corners=True)
        features = self.layers.forward((x - 128) / 128).flatten(1)
        return features if return_features else self.output(features)


def torchscript_inception(path: Path) -> Path:
    """Write a file that clean-fid takes for its Inception's."""
    torch.manual_seed(0)
    network = TorchScriptInception()
    network(torch.rand(16, 3, 64, 64) * 255)  # statistics of the batch normalisation other than 0 and 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        torch.jit.script(network.eval()).save(str(path))
    return path


def pytorch_fid_inception(path: Path) -> Path:
    """Write random weights that fit pytorch-fid's network."""
    torch.manual_seed(0)
    with mock.patch.object(inception_pytorch, "load_state_dict_from_url"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The parameter 'pretrained' is deprecated", UserWarning)
        warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
        with mock.patch.object(nn.Module, "load_state_dict"):
            network = inception_pytorch.fid_inception_v3()
    torch.save(network.state_dict(), path)
    return path
