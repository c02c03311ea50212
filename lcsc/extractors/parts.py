"""Images through a big network a few at a time, whatever number is asked for at once."""

from __future__ import annotations

import torch
from torch import nn

PIXELS = 1 << 21  # of the resized images of a part; a constant, since rounding depends on it


class InParts(nn.Module):
    """``module``, images [B, C, H, W] to features [B, D], over consecutive parts of the images.

    A network at 224 or 299 pixels keeps megabytes of each image, and hundreds of images are measured at once.
    """

    def __init__(self, module: nn.Module, size: int) -> None:
        super().__init__()
        self.module, self.count = module, max(1, PIXELS // size**2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The features of all images, in order."""
        return torch.cat([self.module(part) for part in torch.split(images, self.count)])
