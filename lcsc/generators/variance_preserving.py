"""Networks of variance-preserving diffusion (DDPM, iDDPM), and the denoiser that they are.

Such a network sees x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise and t, and says what the noise is (``epsilon``, Ho
et al. 2020), what x_0 is (``sample``), or v = sqrt(abar_t) noise - sqrt(1 - abar_t) x_0 (``v``, Salimans & Ho 2022).
With a = sqrt(abar_t) and b = sqrt(1 - abar_t), x_0 is (x_t - b epsilon) / a, the sample itself, or a x_t - b v.

For samplers in noise levels sigma it is a denoiser, too: an image x with noise of level sigma is a x with
a = 1 / sqrt(1 + sigma^2), b = sigma a and t where sigma_t = sigma (Karras et al. 2022, table 1, columns VP and iDDPM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from lcsc.errors import InputError
from lcsc.generators.noise_schedule import NoiseSchedule

if TYPE_CHECKING:
    from lcsc.generators.preconditioning import Network

PREDICTIONS = ("epsilon", "v", "sample")
OPENAI_TIMESTEPS = 1000  # that improved-diffusion's networks are told of, however many there are


class Prediction(NamedTuple):
    """What a network says, [B, C, H, W]; ``variance`` as it comes, or None for a network that learned none."""

    output: torch.Tensor
    variance: torch.Tensor | None


@dataclass(frozen=True)
class VPDenoiser:
    """Images x [B, C, H, W] with noise of levels sigma [B] to images without noise, through ``network``.

    With ``learned_variance`` the network gives 2C channels, the latter half of which are not the prediction. With
    ``rescale_timesteps`` it is told t · 1000 / T, as OpenAI's code does. Noise levels between two timesteps give it a
    fractional t, interpolated in log sigma; with ``nearest_timestep`` the nearest whole one.
    """

    network: Network
    schedule: NoiseSchedule
    prediction: str = "epsilon"
    learned_variance: bool = False
    rescale_timesteps: bool = False
    nearest_timestep: bool = False

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise InputError(
                f"preconditioning: prediction is {self.prediction!r}, expected one of {', '.join(PREDICTIONS)}"
            )

    @property
    def kind(self) -> str:
        """The name of this preconditioning in the configuration."""
        return "ddpm"

    @property
    def sigma_min(self) -> float:
        """The noise level of timestep 0."""
        return self.schedule.sigma_min

    @property
    def sigma_max(self) -> float:
        """The noise level of the last timestep."""
        return self.schedule.sigma_max

    def predict(self, x: torch.Tensor, timestep: torch.Tensor) -> Prediction:
        """What the network says of ``x`` = x_t [B, C, H, W] at timesteps [B], which may be fractional."""
        told = timestep * (OPENAI_TIMESTEPS / self.schedule.timesteps) if self.rescale_timesteps else timestep
        found = self.network(x, told)
        channels = 2 * x.shape[1] if self.learned_variance else x.shape[1]
        if found.shape[1] != channels or found.shape[0] != x.shape[0] or found.shape[2:] != x.shape[2:]:
            raise InputError(
                f"network: gives shape {list(found.shape)} for images {list(x.shape)}, expected {channels} channels; "
                "correct preconditioning.learned_variance (2C channels with it, C without) or the network's args"
            )
        if not self.learned_variance:
            return Prediction(found, None)
        output, variance = found.chunk(2, dim=1)
        return Prediction(output, variance)

    def raw(self, x: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """The prediction alone, [B, C, H, W]: what the schedulers of diffusers call the model's output."""
        return self.predict(x, timestep).output

    def clean(
        self, x: torch.Tensor, output: torch.Tensor, a: float | torch.Tensor, b: float | torch.Tensor
    ) -> torch.Tensor:
        """x_0 by the ``output`` that the network gave for ``x`` = a x_0 + b noise, all [B, C, H, W]."""
        match self.prediction:
            case "epsilon":
                return (x - b * output) / a
            case "v":
                return a * x - b * output
            case _:
                return output

    def timestep_of(self, sigma: torch.Tensor) -> torch.Tensor:
        """The timesteps of noise levels ``sigma`` [B], of its type."""
        found = self.schedule.timestep_of(sigma.detach().cpu().double().numpy())
        return torch.from_numpy(found.round() if self.nearest_timestep else found).to(sigma)

    def snap(self, sigmas: Sequence[float]) -> list[float]:
        """Noise levels at which the network is asked: those of the nearest timesteps with ``nearest_timestep``."""
        if not self.nearest_timestep:
            return list(sigmas)
        nearest = self.schedule.timestep_of(np.asarray(sigmas, dtype=np.float64)).round().astype(int)
        return [float(level) for level in np.exp(self.schedule.log_sigmas[nearest])]

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Images [B, C, H, W], not clamped."""
        level = sigma.view(-1, *[1] * (x.dim() - 1))
        a = (level.square() + 1).rsqrt()
        return self.clean(a * x, self.raw(a * x, self.timestep_of(sigma)), a, level * a)
