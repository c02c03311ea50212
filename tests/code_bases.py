"""Networks as public code bases have them, for tests: their signatures, at toy size."""

from __future__ import annotations

import torch
from torch import nn


class OpenAI(nn.Module):
    """Called as OpenAI's U-Nets are: ``forward(x, timesteps, y=None)``."""

    def __init__(self, channels: int = 1, classes: int | None = None) -> None:
        super().__init__()
        self.leave = nn.Conv2d(channels, channels, 3, padding=1)
        if classes is not None:
            self.label_emb = nn.Embedding(classes, channels)

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        assert (y is not None) == hasattr(self, "label_emb"), "must specify y if and only if class-conditional"
        hidden = self.leave(x) + timesteps.tanh()[:, None, None, None]
        return hidden if y is None else hidden + self.label_emb(y)[:, :, None, None]


class EDM(nn.Module):
    """Called as EDM's U-Nets are: ``forward(x, noise_labels, class_labels, augment_labels=None)``."""

    def __init__(self, channels: int = 1, label_dim: int = 0) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 3, padding=1)
        self.map_label = nn.Linear(label_dim, channels, bias=False) if label_dim else None

    def forward(self, x, noise_labels, class_labels, augment_labels=None):
        hidden = self.enter(x) + noise_labels.tanh()[:, None, None, None]
        return hidden if self.map_label is None else hidden + self.map_label(class_labels)[:, :, None, None]


def create_model_and_diffusion(channels: int = 1) -> tuple[nn.Module, object]:
    """As OpenAI's factories do, a network and what trains it."""
    return OpenAI(channels), object()


def two_models() -> tuple[nn.Module, nn.Module]:
    """More than one network."""
    return OpenAI(), OpenAI()


class Family:
    """A class with a factory."""

    @staticmethod
    def small() -> nn.Module:
        """A network."""
        return OpenAI()
