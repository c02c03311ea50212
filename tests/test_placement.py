"""Nothing of a generator or an extractor stays on the CPU, and no step of a sampler waits for the device.

PyTorch's device ``meta`` calculates shapes alone: it refuses tensors of the CPU beside its own, as a GPU does, and
refuses copies to the CPU, which are what makes a program wait for a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from on_gpu import SAMPLERS
from tiny import SCORING, TinyRun

from lcsc.extractors import classifier, pixels, resizing
from lcsc.generators import NetworkGenerator, build_generator
from lcsc.gradients import StraightThrough

META = torch.device("meta")
# A network over timesteps in a sampler of noise levels looks timesteps up on the CPU, and so waits at each step.
WAITING = {"ddpm as denoiser"}


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in WAITING])
def test_samplers_and_their_gradients_stay_on_the_device(tiny_run: TinyRun, sampler: str) -> None:
    bank = tiny_run.bank
    generator = build_generator({**SCORING, **SAMPLERS[sampler]}, bank.tensors, bank.others(), META)
    assert isinstance(generator, NetworkGenerator)
    noises = [torch.randn(4, *shape).to(META) for shape in generator.noise_shapes]
    assert generator(noises).device.type == "meta"
    leaves = generator.leaves()
    images = StraightThrough.apply(generator.differentiable(leaves, noises))
    assert all(slope.device.type == "meta" for slope in torch.autograd.grad(images.sum(), leaves))


BODIES: dict[str, Any] = {
    "cnn": lambda: classifier.build_body("cnn", [3, 16, 16], 6),
    "mlp": lambda: classifier.build_body("mlp", [3, 16, 16], 6),
    "pixels": lambda: pixels.Pixels([3, 16, 16], 4),
    "resized": lambda: torch.nn.Sequential(resizing.Antialiased(32, "bicubic-antialias"), torch.nn.Flatten()),
}


@pytest.mark.parametrize("body", BODIES)
def test_extractors_and_their_gradients_stay_on_the_device(body: str) -> None:
    module = BODIES[body]().to(META).eval()
    images = torch.zeros(4, 3, 16, 16, device=META, requires_grad=True)
    features = module(images)
    (slopes,) = torch.autograd.grad(features.sum(), images)
    assert features.device.type == slopes.device.type == "meta"
