"""Noise levels sigma at which samplers and trainings ask a denoiser: Karras's, OpenAI's, or one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lcsc.errors import InputError
from lcsc.generators.preconditioning import AnyDenoiser

RHO = 7.0  # bends the noise levels towards small ones


def karras_levels(steps: int, sigma_min: float, sigma_max: float, rho: float = RHO) -> list[float]:
    """``steps`` noise levels falling from sigma_max to sigma_min (Karras et al. 2022, equation 5); one is sigma_max."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + step / max(steps - 1, 1) * (low - high)) ** rho for step in range(steps)]


def openai_levels(ts: Sequence[int], steps: int, sigma_min: float, sigma_max: float, rho: float = RHO) -> list[float]:
    """The noise levels at which OpenAI's code evaluates the network for ``--ts`` and ``--steps``.

    t counts :func:`karras_levels`, here kept in [sigma_min, sigma_max]. The last t must be steps - 1, where no noise is
    added and nothing evaluated, so there are len(ts) - 1 levels; the first must be 0, since sampling starts from noise
    of level sigma_max.
    """
    whole = [int(t) for t in ts]
    rising = all(low < high for low, high in pairwise(whole))
    if len(whole) < 2 or not rising or whole[0] != 0 or whole[-1] != steps - 1:
        raise InputError(
            f"sampler: ts are {whole} with steps {steps}, expected rising numbers from 0 to {steps - 1}, steps - 1"
        )
    levels = karras_levels(steps, sigma_min, sigma_max, rho)
    return [min(max(levels[t], sigma_min), sigma_max) for t in whole[:-1]]


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
