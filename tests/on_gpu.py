"""What the tests on a GPU share. ``LCSC_GPU_TESTS=cpu make test-gpu`` runs them on the CPU, to try the tests."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from tiny import SCORING, TinyRun

from lcsc.extractors import load_extractor
from lcsc.scoring import Context

DEVICE = torch.device(os.environ.get("LCSC_GPU_TESTS", "cuda"))
MISSING = DEVICE.type == "cuda" and not torch.cuda.is_available()
GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(MISSING, reason="PyTorch sees no CUDA device here"),
    pytest.mark.usefixtures("one_thread"),
]

EDM = {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
DDPM = {
    "kind": "ddpm", "prediction": "epsilon", "schedule": "linear", "timesteps": 1000, "beta_start": 1e-4,
    "beta_end": 0.02, "learned_variance": False, "rescale_timesteps": False, "nearest_timestep": False,
}  # fmt: skip
SAMPLERS: dict[str, dict[str, Any]] = {
    "consistency": {},
    "two steps": {"sampler": {"kind": "consistency", "sigmas": [80.0, 1.0]}},
    "euler": {"preconditioning": EDM, "sampler": {"kind": "euler", "steps": 3, "sigma_max": 5.0}},
    "heun": {"preconditioning": EDM, "sampler": {"kind": "heun", "steps": 2, "sigma_max": 5.0}},
    "ancestral": {"preconditioning": EDM, "sampler": {"kind": "ancestral", "steps": 3, "sigma_max": 5.0}},
    "dpm in levels": {"preconditioning": EDM, "sampler": {"kind": "dpm-solver++", "steps": 3, "sigma_max": 5.0}},
    "ddpm": {"preconditioning": DDPM, "sampler": {"kind": "ancestral", "steps": 4}},
    "ddim": {"preconditioning": DDPM, "sampler": {"kind": "ddim", "steps": 4, "eta": 1.0}},
    "dpm in timesteps": {"preconditioning": DDPM, "sampler": {"kind": "dpm-solver++", "steps": 4}},
    "ddpm as denoiser": {"preconditioning": DDPM, "sampler": {"kind": "heun", "steps": 3}},
}


def context_on(run: TinyRun, device: torch.device = DEVICE, **changed: Any) -> Context:
    """The scoring context of the tiny run on a device."""
    return Context.open({**SCORING, **changed}, run.folder / "bank", device, 1)


def evaluator_on(run: TinyRun, device: torch.device = DEVICE, images: int = 300, **changed: Any) -> Any:
    """An evaluator of the tiny run on a device, on search noise."""
    context = context_on(run, device, **changed)
    extractor = load_extractor(run.folder / "cnn.safetensors", device)
    return context.evaluator(extractor, run.reference("cnn"), "search", images)
