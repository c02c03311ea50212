"""Ancestral sampling: each step removes noise and adds some anew, as the reverse of a random diffusion does.

For networks over timesteps it is DDPM's sampler (Ho et al. 2020, algorithm 2) on few timesteps with betas of their own
(Nichol & Dhariwal 2021, section 4); for denoisers in noise levels it is Euler's method to a level below the next, and
noise up to it (the Euler ancestral sampler of k-diffusion). With ``small`` variances the two are one and the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from lcsc.errors import InputError
from lcsc.generators.noise_levels import noise_levels
from lcsc.generators.noise_schedule import NoiseSchedule, spaced_timesteps
from lcsc.generators.preconditioning import AnyDenoiser, denoised, over_timesteps
from lcsc.generators.sigma_sampler import SigmaSampler
from lcsc.generators.variance_preserving import VPDenoiser

VARIANCES = ("learned", "small", "large")


class Posterior(NamedTuple):
    """The step from timestep t to s: x_s ~ N(of_clean x_0 + of_noisy x_t, variance between small and large)."""

    timestep: int
    a: float
    b: float
    of_clean: float
    of_noisy: float
    small: float
    large: float


def posterior(timestep: int, signal: float, following: float) -> Posterior:
    """Ho et al. 2020, equation 7, for abar ``signal`` at t and ``following`` at s, with beta = 1 - signal / following.

    The ``small`` variance is that of the posterior, ``large`` is beta.
    """
    beta = 1 - signal / following
    left = (1 - following) / (1 - signal)
    return Posterior(
        timestep=timestep,
        a=math.sqrt(signal),
        b=math.sqrt(1 - signal),
        of_clean=math.sqrt(following) * beta / (1 - signal),
        of_noisy=math.sqrt(1 - beta) * left,
        small=left * beta,
        large=beta,
    )


class DDPMSampler:
    """DDPM's sampler on the falling ``timesteps`` of ``schedule``; the last step ends at the image that is predicted.

    ``variance`` is ``small``, ``large``, or ``learned``: in the logarithm, between the two as the network says (Nichol
    & Dhariwal 2021, equation 15). With ``clip`` the images that the network sees ahead are kept in [-1, 1].
    """

    def __init__(self, schedule: NoiseSchedule, timesteps: Sequence[int], variance: str, clip: bool) -> None:
        if variance not in VARIANCES:
            raise InputError(f"sampler: variance is {variance!r}, expected one of {', '.join(VARIANCES)}")
        self.variance, self.clip = variance, clip
        signals = [*(float(schedule.signals[t]) for t in timesteps), 1.0]
        self.steps = [posterior(t, *pair) for t, pair in zip(timesteps, pairwise(signals), strict=True)]
        # The initial noise, and noise anew after each step but the last.
        self.nfe = self.noise_arrays = len(self.steps)

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped but for ``clip``."""
        network, x = over_timesteps(denoiser), noises[0]
        for index, step in enumerate(self.steps, start=1):
            found = network.predict(x, x.new_full((len(x),), step.timestep))
            clean = network.clean(x, found.output, step.a, step.b)
            clean = clean.clamp(-1, 1) if self.clip else clean
            x = step.of_clean * clean + step.of_noisy * x
            if index < len(self.steps):
                x = x + self._deviation(step, found.variance) * noises[index]
        return x

    def _deviation(self, step: Posterior, learned: torch.Tensor | None) -> torch.Tensor | float:
        if self.variance != "learned" or learned is None:
            return math.sqrt(step.small if self.variance == "small" else step.large)
        share = (learned + 1) / 2
        return (share * (math.log(step.large) / 2) + (1 - share) * (math.log(step.small) / 2)).exp()


class EulerAncestralSampler(SigmaSampler):
    """Euler's method on falling noise levels, with as much noise anew as the reverse diffusion has.

    From sigma to s it goes to sigma_down = s^2 / sigma, and adds noise of variance s^2 - sigma_down^2.
    """

    def _step(
        self, denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, after: float, noise: torch.Tensor | None
    ) -> torch.Tensor:
        clean = denoised(denoiser, x, sigma, self.clip)
        if noise is None:
            return clean
        down = after**2 / sigma
        return clean + down / sigma * (x - clean) + math.sqrt(after**2 - down**2) * noise


def build_ancestral(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> DDPMSampler | EulerAncestralSampler:
    """The sampler of a ``sampler`` section of kind ``ancestral``, for what ``denoiser`` is."""
    if isinstance(denoiser, VPDenoiser):
        return _in_timesteps(settings, denoiser)
    return EulerAncestralSampler(noise_levels(settings, denoiser), bool(settings.get("clip", False)))


def _in_timesteps(settings: Mapping[str, Any], denoiser: VPDenoiser) -> DDPMSampler:
    schedule = denoiser.schedule
    timesteps = spaced_timesteps(schedule.timesteps, int(settings["steps"]), str(settings.get("spacing", "linspace")))
    variance = str(settings.get("variance", "learned" if denoiser.learned_variance else "large"))
    if variance == "learned" and not denoiser.learned_variance:
        raise InputError(
            "sampler: variance 'learned' needs a network that learned one, found preconditioning.learned_variance "
            "false; take 'small' or 'large'"
        )
    return DDPMSampler(schedule, timesteps, variance, bool(settings.get("clip", True)))
