"""DDIM and DPM-Solver++ through the schedulers of diffusers.

A scheduler turns what the network says of x at one timestep into x at the next; it holds the noise schedule and, for
multistep methods, what was said before. Each call of a sampler works on a fresh copy, so that calls repeat to the byte
and keep no images. diffusers is imported when the first such sampler is built.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lcsc.errors import InputError, reason_of
from lcsc.generators.noise_levels import karras_range
from lcsc.generators.noise_schedule import spaced_timesteps
from lcsc.generators.preconditioning import AnyDenoiser, Denoiser, over_timesteps
from lcsc.generators.variance_preserving import VPDenoiser

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}
# Multistep methods in log sigma cannot take the last timesteps of a cosine schedule, whose sigma rises beyond bounds;
# Lu et al. leave them out in their code, as the documentation of diffusers advises.
COSINE_LAMBDA_MIN = -5.1


class SchedulerSampler:
    """``scheduler``'s method in ``steps`` steps, from noise of standard deviation ``scale``.

    ``levels`` are what the denoiser is asked at, timesteps or noise levels, one for each of the scheduler's.
    """

    def __init__(self, scheduler: Any, steps: int, scale: float = 1.0, levels: Sequence[float] | None = None) -> None:
        self.scheduler, self.steps, self.scale = scheduler, steps, scale
        places = self._started().timesteps
        self.levels = tuple(float(level) for level in (places if levels is None else levels))
        self.nfe, self.noise_arrays = len(self.levels), 1

    def __call__(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Noises, each [B, C, H, W], to images [B, C, H, W], not clamped."""
        scheduler = self._started()
        x = noises[0] * self.scale
        for index, (level, timestep) in enumerate(zip(self.levels, scheduler.timesteps, strict=True)):
            output = denoiser.raw(x, x.new_full((len(x),), level))
            x = self._step(scheduler, output, timestep, x, noises[index + 1 :])
        return x

    def _started(self) -> Any:
        scheduler = copy.copy(self.scheduler)  # what it remembers of a call is made anew by set_timesteps
        scheduler.set_timesteps(self.steps)
        return scheduler

    def _step(
        self, scheduler: Any, output: torch.Tensor, timestep: torch.Tensor, x: torch.Tensor, noises: Sequence[Any]
    ) -> torch.Tensor:
        found: torch.Tensor = scheduler.step(output, timestep, x, return_dict=False)[0]
        return found


class DDIMSampler(SchedulerSampler):
    """DDIM (Song et al. 2021, equation 12); ``eta`` 1 adds as much noise as DDPM, 0 none.

    With ``clip`` the images that the network sees ahead are kept in [-1, 1], and the noise that goes with them is
    taken from these, as OpenAI's code does.
    """

    def __init__(self, scheduler: Any, steps: int, eta: float = 0.0, clip: bool = False) -> None:
        super().__init__(scheduler, steps)
        self.eta, self.clip = eta, clip
        if not 0 <= eta <= 1:
            raise InputError(f"sampler: eta is {eta}, expected 0 to 1")
        if eta > 0:  # the initial noise, and noise anew after each step but the last
            self.noise_arrays = self.nfe

    def _step(
        self, scheduler: Any, output: torch.Tensor, timestep: torch.Tensor, x: torch.Tensor, noises: Sequence[Any]
    ) -> torch.Tensor:
        options: dict[str, Any] = {"use_clipped_model_output": self.clip, "return_dict": False}
        if self.eta > 0:  # the last step's noise has no variance
            options |= {"eta": self.eta, "variance_noise": noises[0] if noises else torch.zeros_like(x)}
        found: torch.Tensor = scheduler.step(output, int(timestep), x, **options)[0]
        return found


def build_ddim(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> DDIMSampler:
    """The sampler of a ``sampler`` section of kind ``ddim``."""
    network = over_timesteps(denoiser)
    steps, spacing = int(settings["steps"]), str(settings.get("spacing", "leading"))
    # The scheduler takes every step to be timesteps // steps long, whatever the spacing.
    even = spacing == "leading" or (spacing == "trailing" and network.schedule.timesteps % steps == 0)
    if not even:
        raise InputError(
            f"sampler: spacing {spacing!r} with {steps} steps, expected timesteps at even distances; take 'leading', "
            f"or 'trailing' with steps that divide {network.schedule.timesteps}"
        )
    spaced_timesteps(network.schedule.timesteps, steps, spacing)  # refuses steps that do not go
    clip = bool(settings.get("clip", False))
    scheduler = _scheduler("DDIMScheduler", "ddim", **_schedule(network, spacing), clip_sample=clip)
    return DDIMSampler(scheduler, steps, float(settings.get("eta", 0.0)), clip)


def build_dpm_solver(settings: Mapping[str, Any], denoiser: AnyDenoiser) -> SchedulerSampler:
    """The sampler of a ``sampler`` section of kind ``dpm-solver++``: multistep, of ``order`` 2 or 3."""
    steps, order = int(settings["steps"]), int(settings.get("order", 2))
    if order not in (2, 3):
        raise InputError(f"sampler: order is {order}, expected 2 or 3")
    if isinstance(denoiser, VPDenoiser):
        return _dpm_solver_in_timesteps(settings, denoiser, steps, order)
    return _dpm_solver_in_levels(settings, denoiser, steps, order)


def _dpm_solver_in_levels(settings: Mapping[str, Any], denoiser: Denoiser, steps: int, order: int) -> SchedulerSampler:
    if steps < 1:
        raise InputError(f"sampler: steps {steps}, expected steps >= 1")
    low, high, rho = karras_range(settings, denoiser)
    scheduler = _scheduler(
        "EDMDPMSolverMultistepScheduler",
        "dpm-solver++",
        **{"sigma_min": low, "sigma_max": high, "sigma_data": denoiser.sigma_data, "rho": rho, "solver_order": order},
    )
    scheduler.set_timesteps(steps)
    return SchedulerSampler(scheduler, steps, high, scheduler.sigmas[:-1])


def _dpm_solver_in_timesteps(
    settings: Mapping[str, Any], denoiser: VPDenoiser, steps: int, order: int
) -> SchedulerSampler:
    spacing, timesteps = str(settings.get("spacing", "linspace")), denoiser.schedule.timesteps
    spaced_timesteps(timesteps, steps + 1, spacing)  # refuses steps that do not go; the scheduler cuts one more off
    options: dict[str, Any] = {"solver_order": order}
    if denoiser.schedule.name == "cosine":
        options["lambda_min_clipped"] = COSINE_LAMBDA_MIN
    made = _schedule(denoiser, spacing)
    return SchedulerSampler(_scheduler("DPMSolverMultistepScheduler", "dpm-solver++", **made, **options), steps)


def _schedule(denoiser: VPDenoiser, spacing: str) -> dict[str, Any]:
    schedule = denoiser.schedule
    return {
        "num_train_timesteps": schedule.timesteps,
        "beta_schedule": SCHEDULES[schedule.name],
        "beta_start": schedule.beta_start,
        "beta_end": schedule.beta_end,
        "prediction_type": PREDICTIONS[denoiser.prediction],
        "timestep_spacing": spacing,
    }


def _scheduler(name: str, sampler: str, **options: Any) -> Any:
    try:
        diffusers = importlib.import_module("diffusers")
    except ImportError as error:
        raise InputError(
            f"sampler: {sampler!r} needs the package diffusers, which cannot be imported ({reason_of(error)}); "
            'install it with: pip install "lcsc[diffusers]"'
        ) from error
    return getattr(diffusers, name)(**options)
