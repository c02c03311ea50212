"""From a raw network to a denoiser or a consistency function.

D(x, sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma)), Karras et al. 2022, equation 7
and table 1 (column "Ours"). For a consistency function c_skip and c_out are moved by sigma_min, so that
f(x, sigma_min) = x whatever the network says (Song et al. 2023, equation 5 and appendix C). OpenAI's code for
consistency models tells its networks 1000 c_noise (``noise_scale``). Networks of variance-preserving diffusion are in
:mod:`lcsc.generators.variance_preserving`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lcsc.config.kinds import in_words
from lcsc.errors import InputError
from lcsc.generators.noise_schedule import NoiseSchedule
from lcsc.generators.variance_preserving import VPDenoiser

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
SIGMA_KINDS = ("consistency", "edm")
KINDS = (*SIGMA_KINDS, "ddpm")


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
    """Images x [B, C, H, W] with noise of levels sigma [B] to images without noise, through ``network``.

    The network is told ``noise_scale`` · log(sigma) / 4.
    """

    network: Network
    kind: str
    sigma_min: float
    sigma_max: float
    sigma_data: float
    noise_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in SIGMA_KINDS:
            raise InputError(f"preconditioning: kind is {self.kind!r}, expected one of {', '.join(SIGMA_KINDS)}")
        if not 0 < self.sigma_min < self.sigma_max:
            raise InputError(
                f"preconditioning: sigma_min {self.sigma_min}, sigma_max {self.sigma_max}; "
                "expected 0 < sigma_min < sigma_max"
            )
        if not self.sigma_data > 0:
            raise InputError(f"preconditioning: sigma_data is {self.sigma_data}, expected a positive number")
        if not self.noise_scale > 0:
            raise InputError(f"preconditioning: noise_scale is {self.noise_scale}, expected a positive number")

    @property
    def boundary(self) -> float:
        """The noise level at which the function is the identity."""
        return self.sigma_min if self.kind == "consistency" else 0.0

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Images [B, C, H, W], not clamped."""
        skip, out, scale, noise = coefficients(sigma, self.sigma_data, self.boundary)
        rank = x.dim() - 1
        skip, out, scale = (c.view(-1, *[1] * rank) for c in (skip, out, scale))
        return skip * x + out * self.network(scale * x, self._told(sigma, noise))

    def raw(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """What the network says, [B, C, H, W]: what the schedulers of diffusers call the model's output."""
        _, _, scale, noise = coefficients(sigma, self.sigma_data, self.boundary)
        return self.network(scale.view(-1, *[1] * (x.dim() - 1)) * x, self._told(sigma, noise))

    def snap(self, sigmas: Sequence[float]) -> list[float]:
        """Noise levels at which the network is asked: it takes any."""
        return list(sigmas)

    def _told(self, sigma: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        if self.noise_scale == 1:
            return noise
        # In float64, since a network hears 1e-4 of a difference where it embeds numbers of about 1000.
        return (sigma.double().log() * (self.noise_scale / 4)).to(sigma.dtype)


AnyDenoiser = Denoiser | VPDenoiser


def build_denoiser(network: Network, settings: Mapping[str, Any]) -> AnyDenoiser:
    """The denoiser of the config's ``preconditioning`` section."""
    kind = str(settings["kind"])
    if kind not in KINDS:
        raise InputError(f"preconditioning: kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "ddpm":
        return _variance_preserving(network, settings)
    sigmas = {name: float(settings[name]) for name in ("sigma_min", "sigma_max", "sigma_data")}
    return Denoiser(network, kind, **sigmas, noise_scale=float(settings.get("noise_scale", 1.0)))


def _variance_preserving(network: Network, settings: Mapping[str, Any]) -> VPDenoiser:
    start, end = float(settings["beta_start"]), float(settings["beta_end"])
    schedule = NoiseSchedule(str(settings["schedule"]), int(settings["timesteps"]), start, end)
    flags = {key: bool(settings[key]) for key in ("learned_variance", "rescale_timesteps", "nearest_timestep")}
    return VPDenoiser(network, schedule, str(settings["prediction"]), **flags)


def denoised(denoiser: AnyDenoiser, x: torch.Tensor, sigma: float, clip: bool = False) -> torch.Tensor:
    """Images ``x`` [B, C, H, W] of one noise level without noise, with ``clip`` kept in [-1, 1]."""
    found = denoiser(x, x.new_full((len(x),), sigma))
    return found.clamp(-1, 1) if clip else found


def require_kind(denoiser: AnyDenoiser, kinds: tuple[str, ...], user: str) -> None:
    """Refuse a ``denoiser`` of another kind than those that ``user``, a sampler or a recipe, is for."""
    if denoiser.kind not in kinds:
        raise InputError(f"{user} needs preconditioning of kind {in_words(kinds)}, found {denoiser.kind!r}")


def over_timesteps(denoiser: AnyDenoiser) -> VPDenoiser:
    """``denoiser``, which must be one over timesteps."""
    assert isinstance(denoiser, VPDenoiser)  # build_sampler has seen to it
    return denoiser
