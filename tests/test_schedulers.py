"""DDIM and DPM-Solver++: the schedulers of diffusers, the papers' formulas and the exact solution."""

from __future__ import annotations

import itertools
import sys

import diffusers
import numpy as np
import pytest
import torch
from diffusion import DDPM, EDM, LINEAR, SPREAD, noises, toy

from lcsc.errors import InputError
from lcsc.generators.noise_schedule import NoiseSchedule
from lcsc.generators.preconditioning import build_denoiser
from lcsc.generators.samplers import build_sampler

PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}
DIFFUSERS = {"ddim": diffusers.DDIMScheduler, "dpm-solver++": diffusers.DPMSolverMultistepScheduler}


def denoiser(network=None, **changes):
    return build_denoiser(network or toy(), {**DDPM, **changes})


def loop_of_diffusers(scheduler, network, x, steps, **options):
    """The loop of every pipeline of diffusers."""
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        output = network(x, torch.full((len(x),), float(t), dtype=x.dtype))
        x = scheduler.step(output, t, x, **options).prev_sample
    return x


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(
    ("settings", "options"),
    [({"kind": "ddim", "steps": 10}, {"clip_sample": False}),
     ({"kind": "ddim", "steps": 15}, {"clip_sample": False}),
     ({"kind": "ddim", "steps": 20, "spacing": "trailing"}, {"clip_sample": False, "timestep_spacing": "trailing"}),
     ({"kind": "dpm-solver++", "steps": 10}, {}),
     ({"kind": "dpm-solver++", "steps": 15, "order": 3}, {"solver_order": 3}),
     ({"kind": "dpm-solver++", "steps": 20, "spacing": "leading"}, {"timestep_spacing": "leading"}),
     ({"kind": "dpm-solver++", "steps": 7, "spacing": "trailing"}, {"timestep_spacing": "trailing"})],
)  # fmt: skip
def test_images_are_those_of_the_pipelines_of_diffusers(prediction, settings, options):
    network = toy(dtype=torch.float32, prediction=prediction)
    asked = denoiser(network, prediction=prediction)
    sampler = build_sampler(settings, asked)
    scheduler = DIFFUSERS[settings["kind"]](prediction_type=PREDICTIONS[prediction], **options)
    given = noises(1, dtype=torch.float32)
    found = sampler(asked, given)
    assert (sampler.nfe, sampler.noise_arrays) == (settings["steps"], 1)
    assert 0.1 < found.std() < 1
    expected = loop_of_diffusers(scheduler, network, given[0], settings["steps"])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_pipeline_of_diffusers_makes_the_same_images_with_a_unet_and_clipping():
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval().requires_grad_(False)  # fmt: skip
    pipeline = diffusers.DDIMPipeline(unet, diffusers.DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        batch_size=3, generator=torch.Generator().manual_seed(3), num_inference_steps=10,
        use_clipped_model_output=True, output_type="np", return_dict=False,
    )[0]  # fmt: skip
    asked = denoiser(lambda x, t: unet(x, t).sample)
    sampler = build_sampler({"kind": "ddim", "steps": 10, "clip": True}, asked)
    noise = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    found = (sampler(asked, [noise]) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-5)


def papers_ddim(network, given, timesteps, eta, clip):
    """Song et al. 2021, equations 12 and 16, line by line."""
    signal = {t: LINEAR.signals[t] for t in timesteps} | {-1: 1.0}
    x, rest = given[0].numpy(), iter(given[1:])
    for t, s in itertools.pairwise([*timesteps, -1]):
        told = torch.full((len(x),), float(t), dtype=torch.float64)
        epsilon = network(torch.from_numpy(x), told).numpy()
        clean = (x - (1 - signal[t]) ** 0.5 * epsilon) / signal[t] ** 0.5
        if clip:
            clean = clean.clip(-1, 1)
            epsilon = (x - signal[t] ** 0.5 * clean) / (1 - signal[t]) ** 0.5
        sigma = eta * ((1 - signal[s]) / (1 - signal[t])) ** 0.5 * (1 - signal[t] / signal[s]) ** 0.5
        x = signal[s] ** 0.5 * clean + (1 - signal[s] - sigma**2) ** 0.5 * epsilon
        if sigma > 0:
            x = x + sigma * next(rest).numpy()
    return x


@pytest.mark.parametrize(("eta", "arrays"), [(0.0, 1), (0.7, 10), (1.0, 10)])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_is_the_papers_formula(eta, arrays, clip):
    network = toy()
    asked = denoiser(network)
    sampler = build_sampler({"kind": "ddim", "steps": 10, "eta": eta, "clip": clip}, asked)
    assert (sampler.nfe, sampler.noise_arrays) == (10, arrays)
    given = noises(arrays)
    expected = papers_ddim(network, given, range(900, -1, -100), eta, clip)
    np.testing.assert_allclose(sampler(asked, given).numpy(), expected, rtol=0, atol=1e-5)


def papers_dpm_solver(network, x, timesteps):
    """Lu et al. 2022, algorithm 2 (2M), and the last step, to no noise, of order 1."""
    a, b = np.sqrt(LINEAR.signals), np.sqrt(1 - LINEAR.signals)
    before, last_h = None, None
    for t, s in itertools.pairwise([*timesteps, None]):
        told = torch.full((len(x),), float(t), dtype=torch.float64)
        clean = (x - b[t] * network(torch.from_numpy(x), told).numpy()) / a[t]
        if s is None:
            return clean
        h = np.log(a[s] / b[s]) - np.log(a[t] / b[t])
        ratio = 0 if before is None else h / (2 * last_h)
        direction = clean if before is None else (1 + ratio) * clean - ratio * before
        x = b[s] / b[t] * x - a[s] * (np.exp(-h) - 1) * direction
        before, last_h = clean, h
    raise AssertionError


def test_dpm_solver_is_the_papers_algorithm():
    network, (noise,) = toy(), noises(1)
    asked = denoiser(network)
    found = build_sampler({"kind": "dpm-solver++", "steps": 15}, asked)(asked, [noise])
    timesteps = np.linspace(0, 999, 16).round().astype(int)[:0:-1]
    np.testing.assert_allclose(found, papers_dpm_solver(network, noise.numpy(), timesteps), rtol=0, atol=1e-5)


def error_for_gaussian_images(asked, settings, noise, exact):
    return float((build_sampler(settings, asked)(asked, [noise]) - exact).norm() / exact.norm())


def test_higher_orders_come_nearer_to_the_exact_solution():
    """For Gaussian images the probability flow is a multiplication."""
    asked, (noise,) = build_denoiser(toy(prediction=None, wave=0.0), EDM), noises(1)
    exact = SPREAD * 80.0 * noise / (SPREAD**2 + 80.0**2) ** 0.5

    def error(order, steps):
        return error_for_gaussian_images(asked, {"kind": "dpm-solver++", "steps": steps, "order": order}, noise, exact)

    assert error(2, 100) < 0.3 * error(2, 50) < 0.1 * error(2, 25)
    assert error(3, 40) < 0.5 * error(2, 40)


def test_more_steps_come_nearer_to_the_exact_solution_and_multistep_methods_faster():
    asked, (noise,) = denoiser(toy(wave=0.0)), noises(1)
    left = LINEAR.signals[-1]
    exact = SPREAD * noise / (left * SPREAD**2 + 1 - left) ** 0.5
    ddim, solver = (
        [error_for_gaussian_images(asked, {"kind": kind, "steps": steps}, noise, exact) for steps in (10, 20, 50)]
        for kind in ("ddim", "dpm-solver++")
    )
    assert ddim[2] < 0.5 * ddim[1] < 0.3 * ddim[0]
    assert [fast < slow for fast, slow in zip(solver, ddim, strict=True)] == [True] * 3
    assert solver[2] < 1e-3


@pytest.mark.parametrize("order", [2, 3])
def test_edm_networks_go_through_the_scheduler_of_diffusers_for_them(order):
    network = toy(dtype=torch.float32, prediction=None)
    asked = build_denoiser(network, {**EDM, "noise_scale": 1.0})
    sampler = build_sampler({"kind": "dpm-solver++", "steps": 12, "order": order}, asked)
    scheduler = diffusers.EDMDPMSolverMultistepScheduler(solver_order=order)
    scheduler.set_timesteps(12)
    (noise,) = noises(1, dtype=torch.float32)
    x = noise * 80.0
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, t)
        x = scheduler.step(network(scaled, t.repeat(len(x))), t, x).prev_sample
    assert sampler.nfe == 12
    torch.testing.assert_close(sampler(asked, [noise]), x, rtol=0, atol=1e-5)


def test_rescaled_timesteps_and_learned_variances_of_openai_s_networks():
    """The network hears t · 1000 / T, and the half of its channels for the variance changes nothing."""
    schedule = {"schedule": "cosine", "timesteps": 4000}
    heard = []
    network = toy(dtype=torch.float32, learned_variance=True)

    def listening(x, t):
        heard.append(float(t[0]))
        return network(x, t)

    asked = denoiser(listening, **schedule, learned_variance=True, rescale_timesteps=True)
    (noise,) = noises(1, dtype=torch.float32)
    found = build_sampler({"kind": "ddim", "steps": 8}, asked)(asked, [noise])
    assert heard == [875.0, 750.0, 625.0, 500.0, 375.0, 250.0, 125.0, 0.0]
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=4000, beta_schedule="squaredcos_cap_v2", clip_sample=False)
    expected = loop_of_diffusers(scheduler, lambda x, t: network(x, t / 4)[:, :3], noise, 8)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_end_of_a_cosine_schedule_is_left_out_by_multistep_methods():
    asked = denoiser(schedule="cosine")
    sampler = build_sampler({"kind": "dpm-solver++", "steps": 10}, asked)
    sigmas = np.exp(NoiseSchedule("cosine", 1000, 0.0, 0.0).log_sigmas)
    assert sigmas[int(sampler.levels[0])] < np.exp(5.1) < sigmas[-1] / 10
    assert sampler(asked, noises(1)).isfinite().all()


@pytest.mark.parametrize("settings", [{"kind": "ddim", "steps": 7}, {"kind": "dpm-solver++", "steps": 7, "order": 3}])
@torch.inference_mode()
def test_calls_repeat_to_the_byte_whatever_was_called_between(settings):
    asked = denoiser()
    sampler = build_sampler(settings, asked)
    given, others = noises(1), noises(2)[1:]
    first = sampler(asked, given)
    assert not torch.equal(sampler(asked, others), first)
    assert torch.equal(sampler(asked, given), first)
    assert torch.equal(build_sampler(settings, asked)(asked, given), first)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"kind": "ddim", "steps": 15, "spacing": "trailing"}, "'trailing' with 15 steps, expected .* divide 1000"),
     ({"kind": "ddim", "steps": 10, "spacing": "linspace"}, "expected timesteps at even distances"),
     ({"kind": "ddim", "steps": 1}, "1 step with spacing 'leading' starts at timestep 0"),
     ({"kind": "ddim", "steps": 1001}, "steps is 1001, expected 1 to 1000"),
     ({"kind": "ddim", "steps": 5, "eta": 2}, "eta is 2.0, expected 0 to 1"),
     ({"kind": "dpm-solver++", "steps": 5, "order": 4}, "order is 4, expected 2 or 3"),
     ({"kind": "dpm-solver++", "steps": 1000}, "steps is 1001, expected 1 to 1000"),
     ({"kind": "dpm-solver++", "steps": 5, "spacing": "even"}, "spacing is 'even', expected one of leading")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build_sampler(settings, denoiser())


def test_other_preconditionings_are_refused():
    with pytest.raises(InputError, match="'ddim' needs preconditioning of kind 'ddpm', found 'edm'"):
        build_sampler({"kind": "ddim", "steps": 5}, build_denoiser(toy(), EDM))
    with pytest.raises(InputError, match="needs preconditioning of kind 'ddpm' or 'edm', found 'consistency'"):
        build_sampler({"kind": "dpm-solver++", "steps": 5}, build_denoiser(toy(), {**EDM, "kind": "consistency"}))


def test_without_diffusers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"needs the package diffusers.*install it with: pip install \"lcsc\[diffus"):
        build_sampler({"kind": "ddim", "steps": 5}, denoiser())
