"""Noise schedules of variance-preserving diffusion, and which of their timesteps a sampler takes.

At timestep t = 0, …, T - 1 an image x_0 has become x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, where abar_t is
the product of 1 - beta_s for s <= t (Ho et al. 2020, equation 4). Divided by sqrt(abar_t) that is an image with noise
of level sigma_t = sqrt((1 - abar_t) / abar_t).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError

SCHEDULES = ("linear", "cosine")
SPACINGS = ("leading", "linspace", "trailing")
COSINE_OFFSET, LARGEST_BETA = 0.008, 0.999


@dataclass(frozen=True)
class NoiseSchedule:
    """betas that rise linearly from ``beta_start`` to ``beta_end`` (Ho et al. 2020), or after a cosine.

    The cosine schedule (Nichol & Dhariwal 2021, equation 17) has no range of its own: both are ignored.
    """

    name: str
    timesteps: int
    beta_start: float
    beta_end: float

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise InputError(f"preconditioning: schedule is {self.name!r}, expected one of {', '.join(SCHEDULES)}")
        if self.timesteps < 2:
            raise InputError(f"preconditioning: timesteps is {self.timesteps}, expected at least 2")
        if self.name == "linear" and not 0 < self.beta_start < self.beta_end < 1:
            raise InputError(
                f"preconditioning: beta_start {self.beta_start}, beta_end {self.beta_end}; "
                "expected 0 < beta_start < beta_end < 1"
            )

    @cached_property
    def betas(self) -> NDArray[np.float64]:
        """The share of the variance that each timestep makes anew, [T]."""
        if self.name == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.timesteps)
        phases = (np.arange(self.timesteps + 1) / self.timesteps + COSINE_OFFSET) / (1 + COSINE_OFFSET)
        kept = np.cos(phases * math.pi / 2) ** 2
        clipped: NDArray[np.float64] = np.minimum(1 - kept[1:] / kept[:-1], LARGEST_BETA)
        return clipped

    @cached_property
    def signals(self) -> NDArray[np.float64]:
        """abar, the share of the image's variance that is left at each timestep, [T]."""
        return np.cumprod(1 - self.betas, dtype=np.float64)

    @cached_property
    def log_sigmas(self) -> NDArray[np.float64]:
        """Logarithm of the noise level sigma at each timestep, rising, [T]."""
        levels: NDArray[np.float64] = np.log((1 - self.signals) / self.signals) / 2
        return levels

    @property
    def sigma_min(self) -> float:
        """The noise level of timestep 0."""
        return math.exp(self.log_sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The noise level of timestep T - 1."""
        return math.exp(self.log_sigmas[-1])

    def timestep_of(self, sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
        """The timesteps of noise levels ``sigmas`` [N] > 0, interpolated linearly in log sigma and kept in range."""
        places = np.arange(self.timesteps, dtype=np.float64)
        found: NDArray[np.float64] = np.interp(np.log(sigmas), self.log_sigmas, places)
        return found


def spaced_timesteps(timesteps: int, steps: int, spacing: str) -> list[int]:
    """``steps`` of the timesteps 0, …, ``timesteps`` - 1, falling (Lin et al. 2024, table 2).

    ``leading``: multiples of timesteps // steps from 0 on; ``linspace``: evenly from 0 to the last, as OpenAI's code
    takes them; ``trailing``: evenly, and the last but not 0. Raises :class:`InputError` where they do not go.
    """
    if spacing not in SPACINGS:
        raise InputError(f"sampler: spacing is {spacing!r}, expected one of {', '.join(SPACINGS)}")
    if not 1 <= steps <= timesteps:
        raise InputError(f"sampler: steps is {steps}, expected 1 to {timesteps} as the network's timesteps are")
    match spacing:
        case "leading":
            rising = [step * (timesteps // steps) for step in range(steps)]
        case "linspace":
            rising = [round(step * (timesteps - 1) / max(steps - 1, 1)) for step in range(steps)]
        case _:
            rising = [round((step + 1) * timesteps / steps) - 1 for step in range(steps)]
    if rising[-1] == 0:
        raise InputError(f"sampler: {steps} step with spacing {spacing!r} starts at timestep 0; take 'trailing'")
    return rising[::-1]
