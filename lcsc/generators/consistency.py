"""One- and multi-step consistency sampling, at noise levels of one's own or at those of OpenAI's code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from lcsc.errors import InputError
from lcsc.generators.ode import RHO, require_falling
from lcsc.generators.preconditioning import AnyDenoiser, denoised


class ConsistencySampler:
    """One- and multi-step consistency sampling (Song et al. 2023, algorithm 1).

    The first step maps noise of level sigmas[0] to images. Each later one brings the images, which are taken
    to have noise of level sigma_min, to level sigma by fresh noise of level sqrt(sigma^2 - sigma_min^2). With
    ``clip`` the images of every step are kept in [-1, 1], as OpenAI's code does.
    """

    def __init__(self, sigmas: Sequence[float], sigma_min: float, clip: bool = False) -> None:
        self.sigmas, self.sigma_min, self.clip = tuple(float(sigma) for sigma in sigmas), sigma_min, clip
        require_falling(self.sigmas, sigma_min)

    @property
    def nfe(self) -> int:
        """One network evaluation for each noise level."""
        return len(self.sigmas)

    @property
    def noise_arrays(self) -> int:
        """One array of noise for each noise level."""
        return len(self.sigmas)

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped but for ``clip``."""
        x = denoised(denoiser, noises[0] * self.sigmas[0], self.sigmas[0], self.clip)
        for sigma, noise in zip(self.sigmas[1:], noises[1:], strict=True):
            noisy = x + math.sqrt(sigma**2 - self.sigma_min**2) * noise
            x = denoised(denoiser, noisy, sigma, self.clip)
        return x


def openai_levels(ts: Sequence[int], steps: int, sigma_min: float, sigma_max: float, rho: float = RHO) -> list[float]:
    """The noise levels at which OpenAI's code evaluates the network for ``--ts`` and ``--steps``.

    t of ``steps`` scales is the level (sigma_max^(1/rho) + t/(steps-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho,
    kept in [sigma_min, sigma_max]. The last t must be steps - 1, where no noise is added and nothing evaluated, so
    there are len(ts) - 1 levels; the first must be 0, since sampling starts from noise of level sigma_max.
    """
    whole = [int(t) for t in ts]
    rising = all(low < high for low, high in pairwise(whole))
    if len(whole) < 2 or not rising or whole[0] != 0 or whole[-1] != steps - 1:
        raise InputError(
            f"sampler: ts are {whole} with steps {steps}, expected rising numbers from 0 to {steps - 1}, steps - 1"
        )
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels = [(high + t / (steps - 1) * (low - high)) ** rho for t in whole[:-1]]
    return [min(max(level, sigma_min), sigma_max) for level in levels]


def build_consistency(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> ConsistencySampler:
    """The sampler of a ``sampler`` section of kind ``consistency``, by its ``sigmas`` or its ``ts`` and ``steps``."""
    if denoiser.kind != "consistency":
        raise InputError(f"sampler: 'consistency' needs preconditioning of that kind, found {denoiser.kind!r}")
    given = [key for key in ("sigmas", "ts") if key in settings]
    if len(given) != 1:
        found = "both" if given else "neither"
        raise InputError(f"sampler: found {found} of 'sigmas' and 'ts', expected one of them; give one")
    levels: Sequence[float] = settings.get("sigmas", ())
    if "ts" in settings:
        steps, rho = int(settings.get("steps", 0)), float(settings.get("rho", RHO))
        levels = openai_levels(settings["ts"], steps, denoiser.sigma_min, denoiser.sigma_max, rho)
    return ConsistencySampler(levels, denoiser.sigma_min, bool(settings.get("clip", False)))
