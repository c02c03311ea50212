"""Euler's and Heun's methods for the probability-flow equation dx/dσ = (x - D(x, σ)) / σ.

Karras et al. 2022, algorithm 1, of which these are the deterministic form (no churn). The noise is drawn once; the last
step goes to level 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lcsc.generators.noise_levels import noise_levels
from lcsc.generators.preconditioning import AnyDenoiser, denoised
from lcsc.generators.sigma_sampler import SigmaSampler


class EulerSampler(SigmaSampler):
    """Euler's method: one network evaluation for each noise level, and the initial noise alone."""

    def __init__(self, sigmas: Sequence[float], clip: bool = False) -> None:
        super().__init__(sigmas, clip)
        self.noise_arrays = 1

    def _step(
        self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float, noise: torch.Tensor | None
    ) -> torch.Tensor:
        return x + (after - sigma) * slope(denoiser, x, sigma, self.clip)


class HeunSampler(EulerSampler):
    """Heun's method: each step but the last averages the slopes at its two ends, which takes two evaluations."""

    def __init__(self, sigmas: Sequence[float], clip: bool = False) -> None:
        super().__init__(sigmas, clip)
        self.nfe = 2 * len(self.sigmas) - 1

    def _step(
        self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float, noise: torch.Tensor | None
    ) -> torch.Tensor:
        first = slope(denoiser, x, sigma, self.clip)
        ahead = x + (after - sigma) * first
        if after == 0:
            return ahead
        return x + (after - sigma) / 2 * (first + slope(denoiser, ahead, after, self.clip))


def slope(denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, clip: bool = False) -> torch.Tensor:
    """dx/dσ of images ``x`` [B, C, H, W] at noise level ``sigma``."""
    return (x - denoised(denoiser, x, sigma, clip)) / sigma


def build_euler(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> EulerSampler:
    """The sampler of a ``sampler`` section of kind ``euler``."""
    return EulerSampler(noise_levels(settings, denoiser), bool(settings.get("clip", False)))


def build_heun(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> HeunSampler:
    """The sampler of a ``sampler`` section of kind ``heun``."""
    return HeunSampler(noise_levels(settings, denoiser), bool(settings.get("clip", False)))
