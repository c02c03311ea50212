"""Samplers against the independent ones of diffusers, on the same noise."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
from diffusion import CONSISTENCY, DDPM, EDM, SPREAD, noises, toy

from lcsc.errors import InputError
from lcsc.generators.ancestral import EulerAncestralSampler
from lcsc.generators.preconditioning import build_denoiser
from lcsc.generators.samplers import build_sampler

SHAPE = (4, 3, 6, 6)
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, shape=SHAPE, first=None):
    """Arrays as a scheduler of diffusers draws them one after another; ``first`` is the initial noise."""
    generator = stream()
    rest = [torch.randn(shape, generator=generator) for _ in range(count - 1)]
    return [noises(1, dtype=torch.float32)[0] if first is None else first, *rest]


def told(t, x):
    return torch.full((len(x),), float(t), dtype=x.dtype)


def unet(channels=3):
    torch.manual_seed(0)
    made = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, in_channels=channels,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("ts", "steps", "timesteps"),
    [([0, 39], 40, [0]), ([0, 22, 39], 40, [22, 0]), ([0, 3, 9, 14, 17], 18, [14, 9, 3, 0])],
)
@pytest.mark.parametrize("clip", [False, True])
def test_consistency_sampling_is_that_of_the_scheduler_for_it(ts, steps, timesteps, clip):
    network = toy(dtype=torch.float32, prediction=None)
    denoiser = build_denoiser(network, {**CONSISTENCY, "noise_scale": 1000.0})
    sampler = build_sampler({"kind": "consistency", "ts": ts, "steps": steps, "clip": clip}, denoiser)
    assert sampler.nfe == sampler.noise_arrays == len(timesteps)
    given = drawn(len(timesteps))
    scheduler = diffusers.CMStochasticIterativeScheduler(num_train_timesteps=steps, clip_denoised=clip)
    scheduler.set_timesteps(timesteps=timesteps)
    x, generator = given[0] * scheduler.init_noise_sigma, stream()
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), told(t, x))
        x = scheduler.step(output, t, x, generator=generator).prev_sample
    torch.testing.assert_close(sampler(denoiser, given), x, **TOLERANCE)


@pytest.mark.parametrize(("ts", "timesteps"), [([0, 39], [0]), ([0, 22, 39], [22, 0])])
def test_the_pipeline_for_consistency_models_makes_the_same_images(ts, timesteps):
    network = unet()
    scheduler = diffusers.CMStochasticIterativeScheduler()
    pipeline = diffusers.ConsistencyModelPipeline(network, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    shape = (3, 3, 8, 8)
    given = drawn(len(timesteps), shape, torch.randn(shape, generator=stream(5)))
    images = pipeline(
        batch_size=3, timesteps=timesteps, num_inference_steps=None, generator=stream(), latents=given[0],
        output_type="np", return_dict=False,
    )[0]  # fmt: skip
    denoiser = build_denoiser(lambda x, t: network(x, t).sample, {**CONSISTENCY, "noise_scale": 1000.0})
    sampler = build_sampler({"kind": "consistency", "ts": ts, "steps": 40, "clip": True}, denoiser)
    found = (sampler(denoiser, given) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert found.std() > 0.05
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("steps", [2, 18])
def test_euler_for_edm_networks_is_that_of_the_scheduler_for_it(steps):
    network = toy(dtype=torch.float32, prediction=None)
    denoiser = build_denoiser(network, EDM)
    given = drawn(1)
    scheduler = diffusers.EDMEulerScheduler()
    scheduler.set_timesteps(steps)
    x = given[0] * 80.0
    for t in scheduler.timesteps:
        x = scheduler.step(network(scheduler.scale_model_input(x, t), told(t, x)), t, x).prev_sample
    found = build_sampler({"kind": "euler", "steps": steps}, denoiser)(denoiser, given)
    torch.testing.assert_close(found, x, **TOLERANCE)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize(
    ("kind", "scheduler"), [("euler", diffusers.EulerDiscreteScheduler), ("heun", diffusers.HeunDiscreteScheduler)]
)
def test_networks_over_timesteps_go_through_euler_and_heun_as_there(kind, scheduler, prediction):
    """With Karras's noise levels and timesteps interpolated between."""
    network = toy(dtype=torch.float32, prediction=prediction)
    denoiser = build_denoiser(network, {**DDPM, "prediction": prediction})
    sampler = build_sampler({"kind": kind, "steps": 12}, denoiser)
    given = drawn(1)
    name = {"epsilon": "epsilon", "v": "v_prediction"}[prediction]
    made = scheduler(beta_start=1e-4, beta_end=0.02, use_karras_sigmas=True, prediction_type=name)
    made.set_timesteps(12)
    x = given[0] * made.sigmas[0]
    for t in made.timesteps:
        x = made.step(network(made.scale_model_input(x, t), told(t, x)), t, x).prev_sample
    assert sampler.nfe == len(made.timesteps)
    torch.testing.assert_close(sampler(denoiser, given), x, **TOLERANCE)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "sample"])
@pytest.mark.parametrize(
    ("variance", "name"), [("small", "fixed_small"), ("large", "fixed_large"), ("learned", "learned_range")]
)
@pytest.mark.parametrize("clip", [False, True])
def test_ancestral_sampling_is_ddpm(variance, name, clip, prediction):
    learned = variance == "learned"
    network = toy(dtype=torch.float32, prediction=prediction, learned_variance=learned)
    denoiser = build_denoiser(network, {**DDPM, "prediction": prediction, "learned_variance": learned})
    settings = {"kind": "ancestral", "steps": 10, "spacing": "leading", "variance": variance, "clip": clip}
    sampler = build_sampler(settings, denoiser)
    assert sampler.nfe == sampler.noise_arrays == 10
    given, generator = drawn(10), stream()
    scheduler = diffusers.DDPMScheduler(
        variance_type=name, clip_sample=clip, prediction_type="v_prediction" if prediction == "v" else prediction
    )
    scheduler.set_timesteps(10)
    x = given[0]
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, told(t, x)), t, x, generator=generator).prev_sample
    torch.testing.assert_close(sampler(denoiser, given), x, **TOLERANCE)


def test_ancestral_sampling_takes_openai_s_timesteps_and_the_network_s_variance_by_default():
    heard = []
    network = toy(learned_variance=True)

    def listening(x, t):
        heard.append(int(t[0]))
        return network(x, t)

    denoiser = build_denoiser(listening, {**DDPM, "learned_variance": True})
    given = noises(6)
    found = build_sampler({"kind": "ancestral", "steps": 6}, denoiser)(denoiser, given)
    assert heard == [999, 799, 599, 400, 200, 0]
    explicit = {"kind": "ancestral", "steps": 6, "spacing": "linspace", "variance": "learned", "clip": True}
    assert torch.equal(build_sampler(explicit, denoiser)(denoiser, given), found)


def test_euler_s_ancestral_method_is_that_of_the_scheduler_for_it():
    network = toy(dtype=torch.float32)
    denoiser = build_denoiser(network, DDPM)
    scheduler = diffusers.EulerAncestralDiscreteScheduler(beta_start=1e-4, beta_end=0.02)
    scheduler.set_timesteps(12)
    given, generator = drawn(12), stream()
    x = given[0] * scheduler.sigmas[0]
    for t in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, t), told(t, x))
        x = scheduler.step(output, t, x, generator=generator).prev_sample
    sampler = EulerAncestralSampler(scheduler.sigmas[:-1].tolist())
    assert sampler.nfe == sampler.noise_arrays == 12
    torch.testing.assert_close(sampler(denoiser, given), x, **TOLERANCE)


def test_with_small_variances_both_ancestral_methods_are_one():
    denoiser, given = build_denoiser(toy(), DDPM), noises(10)
    settings = {"kind": "ancestral", "steps": 10, "variance": "small", "clip": False}
    sampler = build_sampler(settings, denoiser)
    sigmas = [step.b / step.a for step in sampler.steps]
    # x_T of unit variance, divided by a, is the initial noise of the other.
    other = EulerAncestralSampler(sigmas)
    scaled = [given[0] / (sampler.steps[0].a * sigmas[0]), *given[1:]]
    torch.testing.assert_close(sampler(denoiser, given), other(denoiser, scaled), rtol=0, atol=1e-9)


def test_edm_networks_are_sampled_ancestrally_on_karras_s_levels():
    """And come to the spread of the images they are the best network for."""
    denoiser, given = build_denoiser(toy(prediction=None, wave=0.0), EDM), noises(100, batch=50)
    sampler = build_sampler({"kind": "ancestral", "steps": 100}, denoiser)
    assert sampler.sigmas == build_sampler({"kind": "euler", "steps": 100}, denoiser).sigmas
    assert float(sampler(denoiser, given).std()) == pytest.approx(SPREAD, rel=0.08)


@pytest.mark.parametrize("kind", ["euler", "heun", "consistency", "ancestral"])
def test_clipped_images_of_every_step_are_within_range(kind):
    """The last step of each ends at what the network said."""
    preconditioning = CONSISTENCY if kind == "consistency" else EDM
    denoiser = build_denoiser(lambda x, level: 50 * torch.sin(9 * x), preconditioning)
    settings = {"kind": kind, "sigmas": [80.0, 3.0]} if kind == "consistency" else {"kind": kind, "steps": 3}
    plain, clipped = (build_sampler({**settings, "clip": clip}, denoiser) for clip in (False, True))
    given = noises(plain.noise_arrays)
    assert plain(denoiser, given).abs().max() > 1
    assert clipped(denoiser, given).abs().max() <= 1 + 1e-9
    default = build_sampler(settings, denoiser)
    assert torch.equal(default(denoiser, given), plain(denoiser, given))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"ts": [0, 22, 38], "steps": 40}, r"ts are \[0, 22, 38\] with steps 40, expected rising numbers from 0 to 39"),
     ({"ts": [1, 39], "steps": 40}, "expected rising numbers from 0"),
     ({"ts": [0, 22, 22, 39], "steps": 40}, "expected rising numbers"),
     ({"ts": [0]}, "expected rising numbers"),
     ({"ts": [0, 39], "steps": 40, "sigmas": [80.0]}, "found both of 'sigmas' and 'ts'"),
     ({}, "found neither of 'sigmas' and 'ts'")],
)  # fmt: skip
def test_ts_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build_sampler({"kind": "consistency", **settings}, build_denoiser(toy(prediction=None), CONSISTENCY))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"variance": "learned"}, "variance 'learned' needs a network that learned one"),
     ({"variance": "medium"}, "variance is 'medium', expected one of learned, small, large"),
     ({"steps": 1}, "1 step with spacing 'linspace' starts at timestep 0")],
)  # fmt: skip
def test_ancestral_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build_sampler({"kind": "ancestral", "steps": 5, **settings}, build_denoiser(toy(), DDPM))
    with pytest.raises(InputError, match="needs preconditioning of kind 'ddpm' or 'edm', found 'consistency'"):
        build_sampler({"kind": "ancestral", "steps": 5}, build_denoiser(toy(), CONSISTENCY))
