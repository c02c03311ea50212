"""Nothing of a generator or an extractor stays on the CPU, and no step of a sampler waits for the device.

PyTorch's device ``meta`` calculates shapes alone: it refuses tensors of the CPU beside its own, as a GPU does, and
refuses copies to the CPU, which are what makes a program wait for a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from on_gpu import SAMPLERS
from tiny import CPU, SCORING, TinyRun

from lcsc.bank import Bank, ResidentBank, placement
from lcsc.bank.combination import combined
from lcsc.bank.device_bank import DeviceBank
from lcsc.bank.memory import resident_bytes
from lcsc.extractors import classifier, pixels, resizing
from lcsc.generators import NetworkGenerator, build_generator
from lcsc.straight_through import StraightThrough

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


def test_a_bank_that_fits_a_device_is_kept_and_combined_there(
    tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = tiny_run.bank
    size = resident_bytes(bank.K, bank.P)
    said: list[str] = []
    monkeypatch.setattr(placement.logger, "debug", lambda text, *values: said.append(text % values))
    monkeypatch.setattr(placement, "device_bytes", lambda device: size)
    found = placement.placed(bank, META)
    assert isinstance(found, DeviceBank)
    assert found.weights.device.type == "meta"
    made = combined(found, np.full((3, 1, bank.K), 1 / bank.K))
    assert isinstance(made, torch.Tensor)
    assert (made.device.type, tuple(made.shape)) == ("meta", (3, bank.P))
    monkeypatch.setattr(placement, "device_bytes", lambda device: size - 1)
    assert isinstance(placement.placed(bank, META), ResidentBank)
    monkeypatch.setattr(Bank, "kept", lambda bank: bank)
    assert placement.placed(bank, META) is bank
    ends = [line.rpartition("GB, ")[2] for line in said]
    assert ends == ["kept on meta and combined there", "kept in memory", "streamed at each pass"]


def test_runs_on_the_cpu_keep_their_banks_as_ever(tiny_run: TinyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "device_bytes", lambda device: 1 << 60)
    assert isinstance(placement.placed(tiny_run.bank, CPU), ResidentBank)
    monkeypatch.undo()
    assert placement.device_bytes(META) == 0
