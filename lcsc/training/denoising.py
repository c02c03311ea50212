"""Training of a denoiser (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lcsc.generators.preconditioning import Denoiser

P_MEAN, P_STD = -1.2, 1.2  # of the lognormal distribution of noise levels (table 1)


def loss_weight(sigma: torch.Tensor, sigma_data: float) -> torch.Tensor:
    """λ(σ) = (σ² + σ_data²) / (σ σ_data)² (table 1): the weight that gives every noise level the same initial loss."""
    return (sigma.square() + sigma_data**2) / (sigma * sigma_data).square()


class DenoisingTraining:
    """The loss of one optimisation step; its random numbers are drawn on the CPU from the given generator."""

    def __init__(self, settings: Mapping[str, Any], denoiser: Denoiser) -> None:
        self.denoiser = denoiser

    def __call__(self, images: torch.Tensor, step: int, generator: torch.Generator) -> torch.Tensor:
        """The mean loss λ(σ) |D(y + σ n, σ) - y|² of ``images`` y [B, C, H, W] (equation 2), a scalar.

        ``step`` is without influence: the levels σ have one distribution throughout.
        """
        sigma = (P_MEAN + P_STD * torch.randn(len(images), generator=generator)).exp().to(images.device)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        wide = (-1, *[1] * (images.dim() - 1))
        denoised = self.denoiser(images + sigma.view(wide) * noise, sigma)
        weight = loss_weight(sigma, self.denoiser.sigma_data).view(wide)
        return (weight * (denoised - images).square()).mean()
