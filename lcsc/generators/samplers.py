"""Samplers: from noise to images with a denoiser.

A sampler says how many network evaluations an image costs (``nfe``) and how many arrays of standard normal
noise it needs (``noise_arrays``), and draws none itself, so the noise of a sample is the caller's to fix. A
new one is a class and an entry of :data:`SAMPLERS`, and one of :data:`lcsc.config.kinds.SAMPLERS` for what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch

from lcsc.config import kinds
from lcsc.errors import InputError
from lcsc.generators.ancestral import build_ancestral
from lcsc.generators.consistency import build_consistency
from lcsc.generators.ode import build_euler, build_heun
from lcsc.generators.preconditioning import AnyDenoiser, require_kind
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


SAMPLERS: dict[str, Callable[[Mapping[str, Any], AnyDenoiser], Sampler]] = {
    "consistency": build_consistency,
    "euler": build_euler,
    "heun": build_heun,
    "ancestral": build_ancestral,
    "ddim": build_ddim,
    "dpm-solver++": build_dpm_solver,
}


def build_sampler(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> Sampler:
    """The sampler of the config's ``sampler`` section, for what ``denoiser`` is."""
    kind = str(settings["kind"])
    if kind not in SAMPLERS:
        raise InputError(f"sampler: kind is {kind!r}, expected one of {', '.join(sorted(SAMPLERS))}")
    require_kind(denoiser, kinds.SAMPLERS[kind], f"sampler: {kind!r}")
    return SAMPLERS[kind](settings, denoiser)
