"""Samplers: from noise to images with a denoiser.

A sampler says how many network evaluations an image costs (``nfe``) and how many arrays of standard normal
noise it needs (``noise_arrays``), and draws none itself, so the noise of a sample is the caller's to fix. A
new one is a class and an entry of :data:`SAMPLERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from lcsc.errors import InputError
from lcsc.generators.ancestral import build_ancestral
from lcsc.generators.consistency import build_consistency
from lcsc.generators.ode import EulerSampler, HeunSampler, noise_levels
from lcsc.generators.preconditioning import AnyDenoiser
from lcsc.generators.schedulers import build_ddim, build_dpm_solver


class Sampler(Protocol):
    """What every sampler offers."""

    @property
    def nfe(self) -> int:
        """Network evaluations for each image."""

    @property
    def noise_arrays(self) -> int:
        """Arrays of noise for each image."""

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped."""


def _sigma_space(kind: type[EulerSampler], settings: Mapping[str, Any], denoiser: AnyDenoiser) -> Sampler:
    if denoiser.kind not in ("edm", "ddpm"):
        raise InputError(
            f"sampler: {settings['kind']!r} needs preconditioning of kind 'edm' or 'ddpm', found {denoiser.kind!r}"
        )
    return kind(noise_levels(settings, denoiser), bool(settings.get("clip", False)))


SAMPLERS: dict[str, Callable[[Mapping[str, Any], AnyDenoiser], Sampler]] = {
    "consistency": build_consistency,
    "euler": partial(_sigma_space, EulerSampler),
    "heun": partial(_sigma_space, HeunSampler),
    "ancestral": build_ancestral,
    "ddim": build_ddim,
    "dpm-solver++": build_dpm_solver,
}


def build_sampler(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> Sampler:
    """The sampler of the config's ``sampler`` section, for what ``denoiser`` is."""
    kind = str(settings["kind"])
    if kind not in SAMPLERS:
        raise InputError(f"sampler: kind is {kind!r}, expected one of {', '.join(sorted(SAMPLERS))}")
    return SAMPLERS[kind](settings, denoiser)
