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
CNN_WIDTH, MLP_WIDTH = 16, 256
WIDEST = 8  # of the stages, in widths of the first convolution


def cnn(image_shape: Sequence[int], dimension: int, stages: int | None, width: int | None) -> nn.Sequential:
    """3x3 convolutions and a linear layer: [B, C, H, W] to [B, dimension].

    Each of ``stages`` halves the sides by a convolution of stride 2, with twice the channels up to a limit, and has
    another convolution behind it. One stage is made for images of 8x8, three for 28x28 or 32x32.
    """
    inputs, height, breadth = image_shape
    channels = first = width or CNN_WIDTH
    layers: list[nn.Module] = [nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()]
    for _ in range(stages or 1):
        wider = min(2 * channels, WIDEST * first)
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(wider, wider, 3, padding=1), nn.ReLU()]
        # A convolution of stride 2 leaves half of each side, rounded up.
        channels, height, breadth = wider, (height + 1) // 2, (breadth + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * breadth, dimension))


def mlp(image_shape: Sequence[int], dimension: int, stages: int | None, width: int | None) -> nn.Sequential:
    """Two hidden layers with GELU on all values: images [B, C, H, W] to [B, dimension]; it has no stages."""
    hidden = width or MLP_WIDTH
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(image_shape), hidden),
        nn.GELU(),
        nn.Linear(hidden, hidden),
        nn.GELU(),
        nn.Linear(hidden, dimension),
    )


ARCHITECTURES: dict[str, Callable[[Sequence[int], int, int | None, int | None], nn.Sequential]] = {
    "cnn": cnn,
    "mlp": mlp,
}


def build_body(
    architecture: str,
    image_shape: Sequence[int],
    dimension: int,
    stages: int | None = None,
    width: int | None = None,
) -> nn.Sequential:
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
    return ARCHITECTURES[architecture](image_shape, dimension, stages, width)
