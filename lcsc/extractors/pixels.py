"""Pixels beside features: what every extractor sees, so that a search cannot please one extractor alone.

The features of an extractor with pixels are [body(x), c · pooled(x)]: the body's, and the image itself averaged over a
coarse grid, times one scale c. It is set so that the pixels carry a given share of the features' total variance (the
trace of their covariance) over the training images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lcsc.errors import InputError

CHUNK = 500  # images whose features are made at once; fixed, since rounding depends on it


class Pixels(nn.Module):
    """Images [B, C, H, W] averaged to at most ``size`` x ``size`` and flattened: [B, values], differentiable."""

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, image_shape: Sequence[int], size: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.register_buffer("rows", averages(height, min(height, size)), persistent=False)
        self.register_buffer("columns", averages(width, min(width, size)), persistent=False)
        self.values = channels * len(self.rows) * len(self.columns)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Products with two small matrices: PyTorch's own pooling has no deterministic gradient on a GPU."""
        if images.shape[-2] > len(self.rows):
            images = self.rows @ images
        if images.shape[-1] > len(self.columns):
            images = images @ self.columns.T
        return images.flatten(1)


class WithPixels(nn.Module):
    """A body's features and, behind them, ``scale`` times the pixels: [B, body's dimension + values]."""

    def __init__(self, body: nn.Module, pixels: Pixels, scale: float) -> None:
        super().__init__()
        self.body, self.pixels, self.scale = body, pixels, scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The body's features first."""
        return torch.cat([self.body(images), self.scale * self.pixels(images)], dim=1)


def averages(length: int, size: int) -> torch.Tensor:
    """Float32 [size, length]: row i averages the i-th of ``size`` equal parts of ``length`` pixels.

    A pixel that lies in two parts counts in each by the share that is there.
    """
    edges = np.arange(size + 1) * length / size
    low, high = np.arange(length), np.arange(length) + 1
    overlap = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
    return torch.from_numpy((overlap.clip(0) * size / length).astype(np.float32))


def attach(body: nn.Module, about: Mapping[str, Any]) -> nn.Module:
    """``body``, with pixels where the extractor's metadata ``about`` have them."""
    found = about.get("pixels")
    if found is None:
        return body
    return WithPixels(body, Pixels(about["image_shape"], int(found["size"])), float(found["scale"]))


def dimension(about: Mapping[str, Any]) -> int:
    """The number of all features; the metadata's own ``dimension`` is the body's."""
    own = int(about["dimension"])
    found = about.get("pixels")
    return own if found is None else own + Pixels(about["image_shape"], int(found["size"])).values


def check(about: Mapping[str, Any], where: str) -> None:
    """Refuse metadata whose ``pixels`` are no section with a size and a positive scale."""
    found = about.get("pixels")
    if found is None:
        return
    try:
        size, scale = int(found["size"]), float(found["scale"])
    except (KeyError, TypeError, ValueError):
        size, scale = 0, 0.0
    if size < 1 or not 0 < scale < float("inf"):
        raise InputError(f"{where}: pixels are {found!r}, expected a size and a positive scale; train it again")


def scaled(body: nn.Module, images: torch.Tensor, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata say of the pixels: the ``settings`` share and size, and the scale that makes the share.

    ``images`` are all training images [N, C, H, W]. With total variances V of the body's features and W of the pixels,
    share = c² W / (V + c² W).
    """
    share, size = float(settings["share"]), int(settings["size"])
    if not 0 < share < 1 or size < 1:
        raise InputError(
            f"extractor: pixels.share {share}, pixels.size {size}; expected a share between 0 and 1, both excluded, "
            "and a size of 1 or more"
        )
    pixels = Pixels(images.shape[1:], size).to(images.device)
    own, theirs = _total_variance(body, images), _total_variance(pixels, images)
    if not own > 0 or not theirs > 0:
        raise InputError(
            f"extractor: total variance {own:g} of the features, {theirs:g} of the pixels over the training images; "
            "expected positive numbers to give the pixels a share: use images that differ, or no pixels"
        )
    return {"share": share, "size": size, "scale": float(np.sqrt(share / (1 - share) * own / theirs))}


@torch.no_grad()
def _total_variance(module: nn.Module, images: torch.Tensor) -> float:
    """The trace of the covariance of features [N, D], in float64."""
    chunks: list[NDArray[np.float64]] = [module(part).double().cpu().numpy() for part in torch.split(images, CHUNK)]
    return float(np.concatenate(chunks).var(axis=0).sum())
