"""A small convolutional network that is nearly exact for Gaussian images, as every parameterisation wants it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lcsc.generators.noise_schedule import NoiseSchedule

SPREAD = 0.5  # standard deviation of the images
LINEAR = NoiseSchedule("linear", 1000, 1e-4, 0.02)
EDM = {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": SPREAD}
CONSISTENCY = {**EDM, "kind": "consistency"}
DDPM = {
    "kind": "ddpm", "prediction": "epsilon", "schedule": "linear", "timesteps": 1000, "beta_start": 1e-4,
    "beta_end": 0.02, "learned_variance": False, "rescale_timesteps": False, "nearest_timestep": False,
}  # fmt: skip


def gains(prediction: str, schedule: NoiseSchedule = LINEAR) -> np.ndarray:
    """What the best network multiplies x_t with at each timestep, for images of N(0, SPREAD^2)."""
    a, b = np.sqrt(schedule.signals), np.sqrt(1 - schedule.signals)
    total = a**2 * SPREAD**2 + b**2
    clean, noise = a * SPREAD**2 / total, b / total
    return {"epsilon": noise, "sample": clean, "v": a * noise - b * clean}[prediction]


class Toy(nn.Module):
    """The best network for Gaussian images, plus ``wave`` times a small one of random weights.

    ``prediction`` None is for EDM's preconditioning, where the best network says nothing.
    """

    gains: torch.Tensor

    def __init__(
        self, prediction: str | None = "epsilon", learned_variance: bool = False, wave: float = 0.3, channels: int = 3
    ) -> None:
        super().__init__()
        best = torch.zeros(1) if prediction is None else torch.from_numpy(gains(prediction))
        self.register_buffer("gains", best, persistent=False)
        self.enter, self.wave = nn.Conv2d(channels, 8, 3, padding=1), wave
        self.level = nn.Linear(2, 8)
        self.leave = nn.Conv2d(8, 2 * channels if learned_variance else channels, 3, padding=1)

    def forward(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        phases = torch.stack(((noise_level / 100).sin(), (noise_level / 300).cos()), dim=1)
        hidden = torch.tanh(self.enter(x) + self.level(phases)[:, :, None, None])
        output = self.wave * self.leave(hidden)
        low = noise_level.detach().clamp(0, len(self.gains) - 1)
        below, above = self.gains[low.floor().long()], self.gains[low.ceil().long()]
        best = (below + (low - low.floor()) * (above - below)).to(x.dtype)
        parts = output.split(x.shape[1], dim=1)
        return torch.cat((best[:, None, None, None] * x + parts[0], *parts[1:]), dim=1)


def toy(seed: int = 0, dtype: torch.dtype = torch.float64, **options: object) -> Toy:
    """The network with random weights of ``seed``, for evaluation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Toy(**options).to(dtype).eval().requires_grad_(False)  # type: ignore[arg-type]


def noises(count: int, batch: int = 4, dtype: torch.dtype = torch.float64, size: int = 6) -> list[torch.Tensor]:
    """Standard normal arrays [batch, 3, size, size], as a sampler is given them."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, 3, size, size, generator=generator, dtype=dtype) for _ in range(count)]
