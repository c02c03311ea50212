"""Consistency distillation (Song et al. 2023, "Consistency Models", algorithm 2): a denoiser taught to take one step.

The teacher's probability flow leads a noisy image from one noise level to the next lower one (a Heun step); a slowly
moving copy of the student, the target network, says what image lies at its end; the student learns to say the same
from where the step began.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError, whole_reason_of
from lcsc.generators.calls import image_of
from lcsc.generators.preconditioning import Denoiser
from lcsc.training.consistency import intervals, pseudo_huber, rising_levels


class ConsistencyDistillation:
    """The loss of one optimisation step; its random numbers are drawn on the CPU from the given generator.

    ``network`` is the student's module, whose weights start as the teacher's, ``teacher`` a file of weights for the
    same module under ``edm`` preconditioning.
    """

    def __init__(self, settings: Mapping[str, Any], denoiser: Denoiser, network: nn.Module, teacher: Path) -> None:
        self.steps, self.scales = int(settings["steps"]), [int(scale) for scale in settings["scales"]]
        self.rate = float(settings["target_rate"])
        _load(network, teacher)
        self._student, self.target_network = network, frozen_copy(network)
        teaching = frozen_copy(network)
        self.denoiser = denoiser
        self.target = replace(denoiser, network=lambda x, noise: image_of(self.target_network(x, noise)))
        self.teacher = replace(denoiser, kind="edm", network=lambda x, noise: image_of(teaching(x, noise)))

    def __call__(self, images: torch.Tensor, step: int, generator: torch.Generator) -> torch.Tensor:
        """The mean loss of ``images`` [B, C, H, W] at optimisation ``step`` (from 0), a scalar."""
        count = intervals(step, self.steps, self.scales)
        sigmas = rising_levels(count + 1, self.denoiser).float().to(images.device)
        place = torch.randint(count, (len(images),), generator=generator).to(images.device)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        near, far = sigmas[place], sigmas[place + 1]
        noisy = images + far.view(-1, *[1] * (images.dim() - 1)) * noise
        with torch.no_grad():
            target = self.target(heun_step(self.teacher, noisy, far, near), near)
        return pseudo_huber(self.denoiser(noisy, far) - target).mean()

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the target network towards the student: m <- r m + (1 - r) theta."""
        targets: list[torch.Tensor] = list(self.target_network.parameters())
        students: list[torch.Tensor] = list(self._student.parameters())
        torch._foreach_lerp_(targets, students, 1 - self.rate)


def heun_step(denoiser: Denoiser, x: torch.Tensor, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
    """Images ``x`` [B, C, H, W] of noise levels ``high`` [B] taken to ``low`` > 0 (Karras et al. 2022, algorithm 1)."""
    wide = (-1, *[1] * (x.dim() - 1))
    length = (low - high).view(wide)
    first = (x - denoiser(x, high)) / high.view(wide)
    ahead = x + length * first
    second = (ahead - denoiser(ahead, low)) / low.view(wide)
    return x + length / 2 * (first + second)


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in evaluation mode that asks for no gradients."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def _load(network: nn.Module, path: Path) -> None:
    stored = SafetensorsFormat().read(path)
    tensors = stored.tensors | {name: stored.tensors[kept] for name, kept in stored.aliases.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(
            f"{path}: is no teacher for this network ({whole_reason_of(error)}); give both runs the same one"
        ) from error
