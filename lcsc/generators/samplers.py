"""Samplers: from noise to images with a denoiser.

A sampler says how many network evaluations an image costs (``nfe``) and how many arrays of standard normal
noise it needs (``noise_arrays``), and draws none itself, so the noise of a sample is the caller's to fix. A
new one is a class and an entry of :data:`SAMPLERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from lcsc.errors import InputError
from lcsc.generators.ode import EulerSampler, HeunSampler, noise_levels
from lcsc.generators.preconditioning import Denoiser


class Sampler(Protocol):
    """What every sampler offers."""

    @property
    def nfe(self) -> int:
        """Network evaluations for each image."""

    @property
    def noise_arrays(self) -> int:
        """Arrays of noise for each image."""

    def __call__(self, denoiser: Denoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped."""


class ConsistencySampler:
    """One- and multi-step consistency sampling (Song et al. 2023, algorithm 1).

    The first step maps noise of level sigmas[0] to images. Each later one brings the images, which are taken
    to have noise of level sigma_min, to level sigma by fresh noise of level sqrt(sigma^2 - sigma_min^2).
    """

    def __init__(self, sigmas: Sequence[float], sigma_min: float) -> None:
        self.sigmas, self.sigma_min = tuple(float(sigma) for sigma in sigmas), sigma_min
        if not self.sigmas:
            raise InputError("sampler: sigmas is empty, expected at least one noise level")
        falling = all(high > low for high, low in zip(self.sigmas, self.sigmas[1:], strict=False))
        if not falling or not self.sigmas[-1] > sigma_min or not math.isfinite(self.sigmas[0]):
            raise InputError(
                f"sampler: sigmas are {list(self.sigmas)}, expected them to fall and to exceed {sigma_min}"
            )

    @property
    def nfe(self) -> int:
        """One network evaluation for each noise level."""
        return len(self.sigmas)

    @property
    def noise_arrays(self) -> int:
        """One array of noise for each noise level."""
        return len(self.sigmas)

    def __call__(self, denoiser: Denoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped."""
        x = noises[0] * self.sigmas[0]
        x = denoiser(x, x.new_full((len(x),), self.sigmas[0]))
        for sigma, noise in zip(self.sigmas[1:], noises[1:], strict=True):
            noisy = x + math.sqrt(sigma**2 - self.sigma_min**2) * noise
            x = denoiser(noisy, x.new_full((len(x),), sigma))
        return x


def _consistency(settings: Mapping[str, Any], denoiser: Denoiser) -> Sampler:
    if denoiser.kind != "consistency":
        raise InputError(f"sampler: 'consistency' needs preconditioning of that kind, found {denoiser.kind!r}")
    return ConsistencySampler(settings["sigmas"], denoiser.sigma_min)


def _ode(kind: type[EulerSampler], settings: Mapping[str, Any], denoiser: Denoiser) -> Sampler:
    if denoiser.kind != "edm":
        raise InputError(f"sampler: {settings['kind']!r} needs preconditioning of kind 'edm', found {denoiser.kind!r}")
    return kind(noise_levels(settings, denoiser))


SAMPLERS: dict[str, Callable[[Mapping[str, Any], Denoiser], Sampler]] = {
    "consistency": _consistency,
    "euler": partial(_ode, EulerSampler),
    "heun": partial(_ode, HeunSampler),
}


def build_sampler(settings: Mapping[str, Any], denoiser: Denoiser) -> Sampler:
    """The sampler of the config's ``sampler`` section, for what ``denoiser`` is."""
    kind = str(settings["kind"])
    if kind not in SAMPLERS:
        raise InputError(f"sampler: kind is {kind!r}, expected one of {', '.join(sorted(SAMPLERS))}")
    return SAMPLERS[kind](settings, denoiser)
