"""Extractors trained by the workflow: the body of a classifier of the training images.

For images of eight by eight pixels no extractor of natural images makes sense; a classifier of the same
images does. Its features are the body's output, before the ReLU and the linear layer that give class scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import nn

from lcsc.errors import InputError

KIND = "classifier"
CNN_CHANNELS = (16, 32, 32)
MLP_WIDTH = 256


def cnn(image_shape: Sequence[int], dimension: int) -> nn.Sequential:
    """Three 3x3 convolutions, the second of stride 2, and a linear layer: [B, C, H, W] to [B, dimension]."""
    channels, height, width = image_shape
    first, second, third = CNN_CHANNELS
    # The convolution of stride 2 leaves half of each side, rounded up.
    values = third * ((height + 1) // 2) * ((width + 1) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, first, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(second, third, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(values, dimension),
    )


def mlp(image_shape: Sequence[int], dimension: int) -> nn.Sequential:
    """Two hidden layers of 256 with GELU on all values: images [B, C, H, W] to [B, dimension]."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(image_shape), MLP_WIDTH),
        nn.GELU(),
        nn.Linear(MLP_WIDTH, MLP_WIDTH),
        nn.GELU(),
        nn.Linear(MLP_WIDTH, dimension),
    )


ARCHITECTURES: dict[str, Callable[[Sequence[int], int], nn.Sequential]] = {"cnn": cnn, "mlp": mlp}


def build_body(architecture: str, image_shape: Sequence[int], dimension: int) -> nn.Sequential:
    """The body of ``architecture``, freshly initialised from PyTorch's global random number generator."""
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"extractor: architecture is {architecture!r}, expected one of {', '.join(sorted(ARCHITECTURES))}"
        )
    if dimension < 1 or len(image_shape) != 3 or min(image_shape) < 1:
        raise InputError(
            f"extractor: dimension {dimension}, image shape {list(image_shape)}; "
            "expected a positive dimension and [channels, height, width]"
        )
    return ARCHITECTURES[architecture](image_shape, dimension)
