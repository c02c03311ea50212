"""Consistency training (Song & Dhariwal 2023, "Improved Techniques for Training Consistency Models")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lcsc.errors import InputError
from lcsc.generators.noise_levels import karras_levels
from lcsc.generators.preconditioning import Denoiser

P_MEAN, P_STD = -1.1, 2.0  # of the lognormal distribution of noise levels while training
HUBER = 0.00054  # c of the pseudo-Huber distance, times the square root of the number of values


def rising_levels(count: int, denoiser: Denoiser) -> torch.Tensor:
    """Karras's ``count`` noise levels, rising from the denoiser's sigma_min to its sigma_max, float64."""
    falling = karras_levels(count, denoiser.sigma_min, denoiser.sigma_max)
    return torch.tensor(falling[::-1], dtype=torch.float64)


def intervals(step: int, steps: int, scales: Sequence[int]) -> int:
    """Intervals between noise levels at optimisation ``step`` (from 0) of ``steps``: N(k) - 1 of the paper.

    They double in stages of equal length, from scales[0] to at most scales[1] (section 3.4).
    """
    first, last = scales
    length = max(math.floor(steps / (math.log2(last // first) + 1)), 1)
    # More doublings than that end at the last scale anyway, and would make huge numbers.
    return int(min(first * 2 ** min(step // length, last.bit_length()), last))


def interval_shares(sigmas: torch.Tensor) -> torch.Tensor:
    """Probability of each interval between ``sigmas``: that of the lognormal distribution, up to a factor."""
    below: torch.Tensor = torch.special.ndtr((sigmas.log() - P_MEAN) / P_STD)
    return below.diff() / (below[-1] - below[0])


def pseudo_huber(difference: torch.Tensor) -> torch.Tensor:
    """sqrt(|d|^2 + c^2) - c, [B], for each sample of ``difference`` [B, ...]; c = 0.00054 sqrt(values)."""
    flat = difference.flatten(1)
    c = HUBER * math.sqrt(flat.shape[1])
    return (flat.square().sum(1) + c * c).sqrt() - c


class ConsistencyTraining:
    """The loss of one optimisation step; its random numbers are drawn on the CPU from the given generator."""

    def __init__(self, settings: Mapping[str, Any], denoiser: Denoiser) -> None:
        self.steps, self.denoiser = int(settings["steps"]), denoiser
        self.scales = [int(scale) for scale in settings["scales"]]
        if len(self.scales) != 2 or not 1 <= self.scales[0] <= self.scales[1]:
            raise InputError(f"train: scales are {self.scales}, expected [first, last] with 1 <= first <= last")
        self._levels: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, images: torch.Tensor, step: int, generator: torch.Generator) -> torch.Tensor:
        """The mean loss of ``images`` [B, C, H, W] at optimisation ``step`` (from 0), a scalar."""
        sigmas, shares = self._stage(intervals(step, self.steps, self.scales))
        chosen = torch.multinomial(shares, len(images), replacement=True, generator=generator)
        noise = torch.randn(images.shape, generator=generator).to(images.device)
        near, far = (level.to(images.device) for level in (sigmas[chosen], sigmas[chosen + 1]))
        wide = (-1, *[1] * (images.dim() - 1))
        # The teacher is the student as it is now, without gradient and without averaging (section 3.2).
        with torch.no_grad():
            target = self.denoiser(images + near.view(wide) * noise, near)
        student = self.denoiser(images + far.view(wide) * noise, far)
        return (pseudo_huber(student - target) / (far - near)).mean()

    def _stage(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise levels [count + 1] and the probabilities of the intervals between them [count], float32."""
        if count not in self._levels:
            sigmas = rising_levels(count + 1, self.denoiser)
            self._levels[count] = sigmas.float(), interval_shares(sigmas).float()
        return self._levels[count]
