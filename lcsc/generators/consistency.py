"""One- and multi-step consistency sampling, at noise levels of one's own or at those of OpenAI's code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lcsc.errors import InputError
from lcsc.generators.noise_levels import RHO, openai_levels
from lcsc.generators.preconditioning import AnyDenoiser, denoised
from lcsc.generators.sigma_sampler import SigmaSampler


class ConsistencySampler(SigmaSampler):
    """One- and multi-step consistency sampling (Song et al. 2023, algorithm 1).

    Each step maps noisy images to images. All but the last bring these, which are taken to have noise of level
    sigma_min, to the next level sigma by fresh noise of level sqrt(sigma^2 - sigma_min^2).
    """

    def __init__(self, sigmas: Sequence[float], sigma_min: float, clip: bool = False) -> None:
        super().__init__(sigmas, clip, above=sigma_min)
        self.sigma_min = sigma_min

    def _step(
        self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float, noise: torch.Tensor | None
    ) -> torch.Tensor:
        clean = denoised(denoiser, x, sigma, self.clip)
        return clean if noise is None else clean + math.sqrt(after**2 - self.sigma_min**2) * noise


def build_consistency(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> ConsistencySampler:
    """The sampler of a ``sampler`` section of kind ``consistency``, by its ``sigmas`` or its ``ts`` and ``steps``."""
    given = [key for key in ("sigmas", "ts") if key in settings]
    if len(given) != 1:
        found = "both" if given else "neither"
        raise InputError(f"sampler: found {found} of 'sigmas' and 'ts', expected one of them; give one")
    levels: Sequence[float] = settings.get("sigmas", ())
    if "ts" in settings:
        steps, rho = int(settings.get("steps", 0)), float(settings.get("rho", RHO))
        levels = openai_levels(settings["ts"], steps, denoiser.sigma_min, denoiser.sigma_max, rho)
    return ConsistencySampler(levels, denoiser.sigma_min, bool(settings.get("clip", False)))
