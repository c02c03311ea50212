"""Resizing before an extractor: the exact one, which need not be differentiable, and its twin for searches.

Published numbers depend on how images are resized (Parmar, Zhang & Zhu 2022, who resize each channel as float32 by
Pillow's antialiased filters). That code gives no gradient. An extractor that resizes so can have a twin, the same body
behind a resize that is differentiable: a gradient search lowers the twin's distance, and what is chosen and reported
is measured by the extractor itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lcsc.errors import InputError

_FILTERS = ("bilinear", "bicubic")
EXACT = tuple(f"pil-{name}" for name in _FILTERS)
DIFFERENTIABLE = tuple(f"{name}-antialias" for name in _FILTERS)
MODES = (*EXACT, *DIFFERENTIABLE)
# The differentiable filter that comes nearest to each exact one; those of clean-fid are of the kind `inception`.
TWINS = {
    **dict(zip(EXACT, DIFFERENTIABLE, strict=True)),
    **{"clean": "bicubic-antialias", "legacy_pytorch": "bilinear-antialias", "legacy_tensorflow": "bilinear-antialias"},
}


class Antialiased(nn.Module):
    """Images [B, C, H, W] to [B, C, size, size], differentiable; Pillow's filters up to rounding.

    Products with two matrices: PyTorch's own resize has no deterministic gradient on a GPU.
    """

    def __init__(self, size: int, mode: str) -> None:
        super().__init__()
        self.size, self.mode = size, mode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The resized images."""
        rows, columns = (_matrix(length, self.size, self.mode, images.device) for length in images.shape[-2:])
        return rows @ images @ columns.T


@cache
def _matrix(length: int, size: int, mode: str, device: torch.device) -> torch.Tensor:
    """What the filter makes of each pixel of a line, float32 [size, length]."""
    # A tensor of inference mode could not take part in a gradient later.
    with torch.inference_mode(False), torch.no_grad():
        lines = torch.eye(length).view(1, 1, length, length)
        name = mode.removesuffix("-antialias")
        return torch.nn.functional.interpolate(lines, (size, length), mode=name, antialias=True)[0, 0].to(device)


class Pil(nn.Module):
    """Images [B, C, H, W] to [B, C, size, size], each channel by Pillow as float32; not differentiable."""

    def __init__(self, size: int, mode: str) -> None:
        super().__init__()
        self.size, self.filter = size, mode.removeprefix("pil-")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The resized images, cut off from what they were made of."""
        from PIL import Image

        chosen = Image.Resampling[self.filter.upper()]
        channels = images.detach().to("cpu", torch.float32).numpy()
        resized = [
            np.stack([np.asarray(Image.fromarray(c).resize((self.size, self.size), chosen)) for c in image])
            for image in channels
        ]
        return torch.from_numpy(np.stack(resized)).to(images.device)


def check(about: Mapping[str, Any], where: str) -> None:
    """Refuse a ``resize`` in an extractor's metadata that is none."""
    resize = about.get("resize")
    if resize is None:
        return
    size, mode = (resize.get(key) if isinstance(resize, dict) else None for key in ("size", "mode"))
    modes = (about["mode"], *DIFFERENTIABLE) if about.get("mode") else MODES
    if not isinstance(size, int) or size < 1 or mode not in modes:
        raise InputError(
            f"{where}: resize is {resize!r}, expected a positive 'size' and a 'mode' of {', '.join(modes)}; write "
            "the extractor again"
        )


def body_shape(about: Mapping[str, Any]) -> list[int]:
    """The shape of the images that the body sees."""
    shape = list(about["image_shape"])
    return [shape[0], *[about["resize"]["size"]] * 2] if about.get("resize") else shape


def attach(body: nn.Module, about: Mapping[str, Any]) -> nn.Module:
    """The body behind its resize; itself where there is none."""
    if not about.get("resize"):
        return body
    size, mode = about["resize"]["size"], about["resize"]["mode"]
    resize = Pil(size, mode) if mode in EXACT else Antialiased(size, mode)
    return nn.Sequential(resize, body)


def differentiable(about: Mapping[str, Any]) -> bool:
    """Whether features have gradients in the images."""
    return not about.get("resize") or about["resize"]["mode"] in DIFFERENTIABLE


def write_twin(extractor: Path, output: Path) -> None:
    """Write the twin of ``extractor`` for gradient searches: its body behind the same filter, differentiable.

    Its reference statistics are its own: `lcsc reference` makes them.
    """
    from lcsc.checkpoints.safetensors_files import SafetensorsFormat
    from lcsc.extractors import load_extractor
    from lcsc.files import canonical_json

    about = dict(load_extractor(extractor).about)
    if differentiable(about):
        raise InputError(f"{extractor}: is differentiable, expected one that is not; search with it as it is")
    resize = {**about["resize"], "mode": TWINS[about["resize"]["mode"]]}
    about |= {"name": f"{about['name']}-twin", "resize": resize}
    about.pop("measure", None)
    tensors = SafetensorsFormat().read(extractor).tensors
    SafetensorsFormat().write(output, tensors, {"about": canonical_json(about)})
