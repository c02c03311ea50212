"""Inception-V3 through clean-fid (Parmar, Zhang & Zhu 2022): the features of FID, as clean-fid itself makes them.

Three modes, which give different numbers: `clean` resizes each channel by Pillow's bicubic filter as float32,
`legacy_pytorch` as pytorch-fid does (bilinear, not antialiased, with its own weights), `legacy_tensorflow` inside the
network as TensorFlow 1 did. clean-fid's own functions do both, resizing and network; images enter as bytes. An
extractor's file holds the weights, so that jobs read nothing else.

With `resize` a mode's own resizing is replaced by a differentiable one: such an extractor is for searches along
gradients, and its distance is not called FID.
"""

from __future__ import annotations

import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lcsc.config.settings import INCEPTION_WEIGHTS, PYTORCH_FID, TORCHSCRIPT
from lcsc.data import to_bytes
from lcsc.extractors import variants
from lcsc.extractors.resizing import Antialiased
from lcsc.extractors.weights import SOURCES, read_state, require_weights

KIND = "inception"
DIMENSION, SIZE, CLASSES = 2048, 299, 1008
Tensors = Mapping[str, torch.Tensor]
_PATCHING = threading.Lock()


class Inception(nn.Module):
    """Images [B, 1 or 3, H, W] in [-1, 1] to features [B, 2048], resized as clean-fid does."""

    def __init__(self, network: nn.Module, mode: str) -> None:
        super().__init__()
        self.network, self.mode = network, mode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Without gradients: images are rounded to bytes, which is what clean-fid reads from files."""
        with torch.no_grad():
            pixels = to_bytes(images).expand(-1, 3, -1, -1)
            if self.mode != "legacy_tensorflow":
                pixels = torch.from_numpy(resized(pixels.cpu().numpy(), self.mode)).to(images.device)
            return _features(self.network, pixels.float())


class DifferentiableInception(nn.Module):
    """The same network behind a resize that has gradients."""

    def __init__(self, network: nn.Module, resize: Antialiased) -> None:
        super().__init__()
        self.network, self.resize = network, resize

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The images are resized as they are, and cut off at 0 and 255 as clean-fid does."""
        pixels = self.resize((images + 1) * 127.5).clamp(0, 255)
        return _features(self.network, pixels.expand(-1, 3, -1, -1))


def _features(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    features: torch.Tensor = network(pixels.contiguous(memory_format=torch.channels_last))
    return features


def resized(pixels: np.ndarray[Any, np.dtype[np.uint8]], mode: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images uint8 [B, 3, H, W] resized by clean-fid's own function to float32 [B, 3, 299, 299], values 0 to 255."""
    from cleanfid.resize import build_resizer

    with warnings.catch_warnings():  # that of legacy_pytorch would turn off all warnings for good
        resize = build_resizer(mode)
    return np.stack([resize(image.transpose(1, 2, 0)).transpose(2, 0, 1) for image in pixels]).astype(np.float32)


class PytorchFid(nn.Module):
    """pytorch-fid's network as clean-fid has it, pixels [B, 3, 299, 299] of 0 to 255 to features [B, 2048]."""

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        from cleanfid.inception_pytorch import InceptionV3

        with _weights_given(tensors), torch.random.fork_rng(devices=[]):
            self.network = InceptionV3(output_blocks=[3], resize_input=False).to(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """As clean-fid's own function of this network does."""
        features: torch.Tensor = self.network(pixels / 255)[0]
        return features.squeeze(-1).squeeze(-1)


@contextmanager
def _weights_given(tensors: Tensors) -> Iterator[None]:
    """clean-fid downloads these weights whenever it builds the network; here it gets ``tensors`` instead."""
    from cleanfid import inception_pytorch

    with _PATCHING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The parameter 'pretrained' is deprecated", UserWarning)
        warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
        download = inception_pytorch.load_state_dict_from_url
        inception_pytorch.load_state_dict_from_url = lambda *_, **__: dict(tensors)
        try:
            yield
        finally:
            inception_pytorch.load_state_dict_from_url = download


def _torchscript(content: torch.Tensor, device: torch.device, resize_inside: bool) -> nn.Module:
    """clean-fid's wrapper of the TorchScript file whose bytes are ``content``, on ``device``."""
    from cleanfid.inception_torchscript import InceptionV3W

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated")
        (Path(folder) / TORCHSCRIPT).write_bytes(content.numpy().tobytes())
        network: nn.Module = InceptionV3W(folder, download=False, resize_inside=resize_inside).to(device).eval()
        network.register_buffer("class_weights", _class_weights(network), persistent=False)
        # What kernels a second call takes must not depend on the shapes of the first.
        torch.jit.set_fusion_strategy([("STATIC", 0), ("DYNAMIC", 0)])
        if not resize_inside:
            network.layers = torch.jit.freeze(network.layers)  # folds batch normalisation: 1.5 times as fast
    return network


def _class_weights(network: nn.Module) -> torch.Tensor | None:
    """The weights [1008, 2048] of the last layer, whose name differs from file to file; None where there is not one."""
    found = [tensor for tensor in network.state_dict().values() if tuple(tensor.shape) == (CLASSES, DIMENSION)]
    return found[0].clone() if len(found) == 1 else None


def load_body(tensors: Tensors, about: Mapping[str, Any], device: torch.device) -> nn.Module:
    """The module that an extractor's ``about`` describes; RuntimeError or KeyError where ``tensors`` do not fit."""
    mode, resize = about["mode"], about["resize"]["mode"]
    exact = resize == mode
    if mode == "legacy_pytorch":
        network: nn.Module = PytorchFid(tensors)
    else:
        network = _torchscript(tensors["torchscript"], device, resize_inside=exact and mode == "legacy_tensorflow")
    network = variants.attach(network, about)
    return Inception(network, mode) if exact else DifferentiableInception(network, Antialiased(SIZE, resize))


def make(settings: Mapping[str, Any], weights: Path | None) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of an extractor's file and what it says of itself."""
    mode = settings["mode"]
    name = INCEPTION_WEIGHTS[mode]
    sha256 = settings["sha256"] or SOURCES[name].sha256
    path = require_weights(weights, sha256, name)
    about: dict[str, Any] = {
        "architecture": "Inception-V3",
        "mode": mode,
        "dimension": DIMENSION,
        "resize": {"size": SIZE, "mode": settings["resize"] or mode},
        "weights": {"file": name, "sha256": sha256},
    }
    if settings["resize"] is None and not settings.get("variant"):
        about["measure"] = f"FID ({mode})"
    return _READERS[name](path), about


def _read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    return {"torchscript": torch.from_numpy(np.fromfile(path, np.uint8))}


_READERS: dict[str, Callable[[Path], dict[str, torch.Tensor]]] = {
    TORCHSCRIPT: _read_torchscript,
    PYTORCH_FID: read_state,
}
