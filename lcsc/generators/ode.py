"""Euler's and Heun's methods for the probability-flow equation dx/dσ = (x - D(x, σ)) / σ.

Karras et al. 2022, algorithm 1, of which these are the deterministic form (no churn), with the noise levels of
their equation 5. The noise is drawn once; the last step goes to level 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch

from lcsc.errors import InputError
from lcsc.generators.preconditioning import AnyDenoiser, denoised

RHO = 7.0  # bends the noise levels towards small ones


def karras_levels(steps: int, sigma_min: float, sigma_max: float, rho: float = RHO) -> list[float]:
    """``steps`` noise levels falling from sigma_max to sigma_min (Karras et al. 2022, equation 5); one is sigma_max."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + step / max(steps - 1, 1) * (low - high)) ** rho for step in range(steps)]


class EulerSampler:
    """Euler's method: one network evaluation for each noise level.

    With ``clip`` what the denoiser gives is kept in [-1, 1], as OpenAI's code for consistency models does.
    """

    def __init__(self, sigmas: Sequence[float], clip: bool = False) -> None:
        self.sigmas, self.clip = tuple(float(sigma) for sigma in sigmas), clip
        require_falling(self.sigmas)

    @property
    def nfe(self) -> int:
        """One network evaluation for each noise level."""
        return len(self.sigmas)

    @property
    def noise_arrays(self) -> int:
        """The initial noise alone."""
        return 1

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, one of [B, C, H, W], to images [B, C, H, W], not clamped but for ``clip``."""
        x = noises[0] * self.sigmas[0]
        for sigma, after in zip(self.sigmas, (*self.sigmas[1:], 0.0), strict=True):
            x = self._step(denoiser, x, sigma, after)
        return x

    def _step(self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float) -> torch.Tensor:
        return x + (after - sigma) * slope(denoiser, x, sigma, self.clip)


class HeunSampler(EulerSampler):
    """Heun's method: each step but the last averages the slopes at its two ends."""

    @property
    def nfe(self) -> int:
        """Two network evaluations for each noise level but the last, which takes one."""
        return 2 * len(self.sigmas) - 1

    def _step(self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float) -> torch.Tensor:
        first = slope(denoiser, x, sigma, self.clip)
        ahead = x + (after - sigma) * first
        if after == 0:
            return ahead
        return x + (after - sigma) / 2 * (first + slope(denoiser, ahead, after, self.clip))


def slope(denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, clip: bool = False) -> torch.Tensor:
    """dx/dσ of images ``x`` [B, C, H, W] at noise level ``sigma``."""
    return (x - denoised(denoiser, x, sigma, clip)) / sigma


def require_falling(sigmas: Sequence[float], above: float = 0.0) -> None:
    """Refuse noise levels that are none, do not fall, or do not exceed ``above``."""
    if not sigmas:
        raise InputError("sampler: sigmas is empty, expected at least one noise level")
    falling = all(high > low for high, low in pairwise(sigmas))
    if not falling or not sigmas[-1] > above or not math.isfinite(sigmas[0]):
        limit = f"exceed {above}" if above else "be positive"
        raise InputError(f"sampler: sigmas are {list(sigmas)}, expected them to fall and to {limit}")


def noise_levels(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> list[float]:
    """The levels of the config's ``sampler`` section: its ``sigmas``, or Karras's ``steps`` of them.

    ``sigma_min`` and ``sigma_max`` are the denoiser's and ``rho`` is 7 where the settings do not say otherwise. A
    denoiser that knows timesteps alone (``nearest_timestep``) moves them to the nearest ones it knows.
    """
    sigmas, given = settings.get("sigmas"), settings.get("steps")
    if (sigmas is None) == (given is None):
        found = "neither" if sigmas is None else "both"
        raise InputError(f"sampler: found {found} of 'sigmas' and 'steps', expected one of them; give one")
    if sigmas is not None:
        known = [float(sigma) for sigma in sigmas]
        if known:
            _require_known_levels(denoiser, min(known), max(known))
        return _snapped(denoiser, known)
    steps = int(settings["steps"])
    low, high, rho = karras_range(settings, denoiser)
    if steps < 1:
        raise InputError(f"sampler: steps {steps}, expected steps >= 1")
    return _snapped(denoiser, karras_levels(steps, low, high, rho))


def _snapped(denoiser: AnyDenoiser, sigmas: Sequence[float]) -> list[float]:
    """``sigmas`` at levels that the denoiser knows; refused where two of them come to be one."""
    levels = denoiser.snap(list(sigmas))
    for place, (one, two) in enumerate(pairwise(levels)):
        if one == two and sigmas[place] != sigmas[place + 1]:
            raise InputError(
                f"sampler: levels {sigmas[place]:.6g} and {sigmas[place + 1]:.6g} are nearest to one timestep, "
                "expected a timestep for each; take fewer steps, or leave out nearest_timestep"
            )
    return levels


def karras_range(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> tuple[float, float, float]:
    """sigma_min, sigma_max and rho of a ``sampler`` section; by default the denoiser's and 7."""
    low, high, rho = (
        float(default if settings.get(key) is None else settings[key])
        for key, default in (("sigma_min", denoiser.sigma_min), ("sigma_max", denoiser.sigma_max), ("rho", RHO))
    )
    if not 0 < low < high < math.inf or not rho > 0:
        raise InputError(
            f"sampler: sigma_min {low}, sigma_max {high}, rho {rho}; expected 0 < sigma_min < sigma_max and rho > 0"
        )
    _require_known_levels(denoiser, low, high)
    return low, high, rho


def _require_known_levels(denoiser: AnyDenoiser, low: float, high: float) -> None:
    """A network of timesteps knows nothing beyond the first and the last; one of sigmas takes any."""
    slack = 1 + 1e-9
    if denoiser.kind == "ddpm" and (low * slack < denoiser.sigma_min or high > denoiser.sigma_max * slack):
        raise InputError(
            f"sampler: noise levels {low} to {high}, expected {denoiser.sigma_min:.6g} to {denoiser.sigma_max:.6g} as "
            "the network's timesteps have; correct them"
        )
