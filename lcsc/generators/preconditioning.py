"""From a raw network to a denoiser or a consistency function.

D(x, sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma)), Karras et al. 2022, equation 7
and table 1 (column "Ours"). For a consistency function c_skip and c_out are moved by sigma_min, so that
f(x, sigma_min) = x whatever the network says (Song et al. 2023, equation 5 and appendix C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lcsc.errors import InputError

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
KINDS = ("consistency", "edm")


class Coefficients(NamedTuple):
    """c_skip, c_out, c_in and c_noise, each of the shape of sigma."""

    skip: torch.Tensor
    out: torch.Tensor
    scale: torch.Tensor
    noise: torch.Tensor


def coefficients(sigma: torch.Tensor, sigma_data: float, boundary: float) -> Coefficients:
    """The four coefficients at noise levels ``sigma`` > 0.

    ``boundary`` is 0 for EDM, and sigma_min for consistency functions.
    """
    above = sigma - boundary
    total = (sigma.square() + sigma_data**2).sqrt()
    # sigma_data^2 / (above^2 + sigma_data^2), in a form that is exactly 1 at the boundary.
    skip = 1 / (1 + (above / sigma_data).square())
    return Coefficients(skip, sigma_data * above / total, 1 / total, sigma.log() / 4)


@dataclass(frozen=True)
class Denoiser:
    """Images x [B, C, H, W] with noise of levels sigma [B] to images without noise, through ``network``."""

    network: Network
    kind: str
    sigma_min: float
    sigma_max: float
    sigma_data: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"preconditioning: kind is {self.kind!r}, expected one of {', '.join(KINDS)}")
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError(
                f"preconditioning: sigma_min {self.sigma_min}, sigma_max {self.sigma_max}; "
                "expected 0 < sigma_min < sigma_max"
            )
        if not self.sigma_data > 0:
            raise InputError(f"preconditioning: sigma_data is {self.sigma_data}, expected a positive number")

    @property
    def boundary(self) -> float:
        """The noise level at which the function is the identity."""
        return self.sigma_min if self.kind == "consistency" else 0.0

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Images [B, C, H, W], not clamped."""
        skip, out, scale, noise = coefficients(sigma, self.sigma_data, self.boundary)
        rank = x.dim() - 1
        skip, out, scale = (c.view(-1, *[1] * rank) for c in (skip, out, scale))
        return skip * x + out * self.network(scale * x, noise)


def build_denoiser(network: Network, settings: Mapping[str, Any]) -> Denoiser:
    """The denoiser of the config's ``preconditioning`` section."""
    sigmas = {name: float(settings[name]) for name in ("sigma_min", "sigma_max", "sigma_data")}
    return Denoiser(network, str(settings["kind"]), **sigmas)
