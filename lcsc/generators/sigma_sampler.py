"""What samplers in noise levels have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise, zip_longest

import torch

from lcsc.generators.noise_levels import require_falling
from lcsc.generators.preconditioning import AnyDenoiser


class SigmaSampler(ABC):
    """A sampler that goes down falling noise levels ``sigmas``, from noise of the first to images.

    With ``clip`` what the denoiser gives is kept in [-1, 1] at every step. This base draws noise anew after each step
    but the last, with one network evaluation for each level; levels must exceed ``above``.
    """

    def __init__(self, sigmas: Sequence[float], clip: bool = False, above: float = 0.0) -> None:
        self.sigmas, self.clip = tuple(float(sigma) for sigma in sigmas), clip
        require_falling(self.sigmas, above)
        self.nfe = self.noise_arrays = len(self.sigmas)

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped but for ``clip``."""
        x = noises[0] * self.sigmas[0]
        for (sigma, after), noise in zip_longest(pairwise((*self.sigmas, 0.0)), noises[1:]):
            x = self._step(denoiser, x, sigma, after, noise)
        return x

    @abstractmethod
    def _step(
        self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float, noise: torch.Tensor | None
    ) -> torch.Tensor:
        """Images ``x`` [B, C, H, W] taken from level ``sigma`` to ``after``, which is 0 at the last step.

        ``noise`` is None at the last step, and at all steps of samplers that draw none anew.
        """
