"""Noise schedules and networks over timesteps, and the denoisers that these are."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
from diffusion import DDPM, LINEAR, SPREAD, gains, noises, toy
from hypothesis import given
from hypothesis import strategies as st

from lcsc.errors import InputError
from lcsc.generators.noise_schedule import NoiseSchedule, spaced_timesteps
from lcsc.generators.preconditioning import build_denoiser
from lcsc.generators.samplers import build_sampler

COSINE = NoiseSchedule("cosine", 1000, 0.0, 0.0)


@pytest.mark.parametrize(("schedule", "name"), [(LINEAR, "linear"), (COSINE, "squaredcos_cap_v2")])
def test_schedules_are_those_of_diffusers(schedule, name):
    expected = diffusers.DDPMScheduler(beta_schedule=name).alphas_cumprod.numpy()
    np.testing.assert_allclose(schedule.signals, expected, rtol=1e-4)


def test_the_cosine_schedule_is_the_papers():
    f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(COSINE.signals[:-1], (f / f[0])[1:-1], rtol=1e-9)
    assert COSINE.betas[-1] == 0.999


def test_noise_levels_and_timesteps_are_each_others_inverse():
    places = np.array([0.0, 1.0, 500.0, 998.5, 999.0])
    levels = np.exp(np.interp(places, np.arange(1000), LINEAR.log_sigmas))
    np.testing.assert_allclose(LINEAR.timestep_of(levels), places, atol=1e-9)
    np.testing.assert_allclose(LINEAR.timestep_of(np.array([1e-9, 1e9])), [0, 999])
    assert (LINEAR.sigma_min, LINEAR.sigma_max) == pytest.approx((0.0100005, 157.4074), rel=1e-4)


@given(st.integers(2, 300), st.integers(1, 300), st.sampled_from(["linspace", "trailing", "leading"]))
def test_spaced_timesteps_fall_within_range_and_are_all_different(timesteps, steps, spacing):
    if steps > timesteps or (steps == 1 and spacing != "trailing"):
        with pytest.raises(InputError, match=r"steps? "):
            spaced_timesteps(timesteps, steps, spacing)
        return
    found = spaced_timesteps(timesteps, steps, spacing)
    assert len(found) == steps
    assert found == sorted(set(found), reverse=True)
    assert found[-1] >= 0
    assert found[0] < timesteps
    if spacing != "leading":
        assert found[0] == timesteps - 1
    if spacing != "trailing":
        assert found[-1] == 0


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [2, 10, 15, 250, 999, 1000])
def test_spacings_are_those_of_diffusers(spacing, steps):
    scheduler = diffusers.DDPMScheduler(timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    assert spaced_timesteps(1000, steps, spacing) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("prediction", ["epsilon", "v", "sample"])
@pytest.mark.parametrize("sigma", [0.02, 0.5, 3.0, 100.0])
def test_the_best_network_of_every_prediction_is_the_best_denoiser(prediction, sigma):
    """For Gaussian images it is x s^2 / (s^2 + sigma^2), up to the interpolation of the timestep."""
    denoiser = build_denoiser(toy(prediction=prediction, wave=0.0), {**DDPM, "prediction": prediction})
    (x,) = noises(1)
    x = x * (SPREAD**2 + sigma**2) ** 0.5
    found = denoiser(x, torch.full((4,), sigma, dtype=torch.float64))
    expected = x * SPREAD**2 / (SPREAD**2 + sigma**2)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3 * float(x.abs().max()))


def test_levels_of_timesteps_are_exact_and_the_network_hears_fractions_between():
    heard = []

    def listening(x, t):
        heard.extend(t.tolist())
        return torch.zeros_like(x)

    between = float(np.exp(LINEAR.log_sigmas[400:402].mean()))
    sigmas = torch.tensor([np.exp(LINEAR.log_sigmas[7]), between, 1e-3, 1e3], dtype=torch.float64)
    build_denoiser(listening, DDPM)(noises(1)[0], sigmas)
    assert heard == pytest.approx([7.0, 400.5, 0.0, 999.0], abs=1e-9)
    heard.clear()
    build_denoiser(listening, {**DDPM, "nearest_timestep": True})(noises(1)[0], sigmas)
    assert heard in ([7.0, 400.0, 0.0, 999.0], [7.0, 401.0, 0.0, 999.0])


@pytest.mark.parametrize("kind", ["euler", "heun"])
def test_samplers_in_noise_levels_ask_at_whole_timesteps_where_told_to(kind):
    heard = []
    network = toy()

    def listening(x, t):
        heard.extend(t.tolist())
        return network(x, t)

    denoiser = build_denoiser(listening, {**DDPM, "nearest_timestep": True})
    sampler = build_sampler({"kind": kind, "steps": 6}, denoiser)
    sampler(denoiser, noises(1))
    assert all(t == int(t) for t in heard)
    np.testing.assert_allclose(
        np.log(sampler.sigmas), LINEAR.log_sigmas[[int(t) for t in dict.fromkeys(heard)]], atol=1e-12
    )


def test_the_variance_half_is_split_off_and_wrong_channels_are_refused():
    network, (x,) = toy(learned_variance=True), noises(1)
    denoiser = build_denoiser(network, {**DDPM, "learned_variance": True})
    told = torch.full((4,), 10.0, dtype=torch.float64)
    output, variance = denoiser.predict(x, told)
    assert torch.equal(torch.cat((output, variance), 1), network(x, told))
    with pytest.raises(InputError, match=r"gives shape \[4, 6, 6, 6\] .* expected 3 channels; correct .*learned_var"):
        build_denoiser(network, DDPM).predict(x, told)
    with pytest.raises(InputError, match="expected 6 channels"):
        build_denoiser(toy(), {**DDPM, "learned_variance": True}).predict(x, told)


def test_gains_are_consistent():
    """What the best network says of x_t is one and the same image by all three predictions."""
    a, b = np.sqrt(LINEAR.signals), np.sqrt(1 - LINEAR.signals)
    np.testing.assert_allclose((1 - b * gains("epsilon")) / a, gains("sample"), rtol=1e-9)
    np.testing.assert_allclose(a - b * gains("v"), gains("sample"), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"prediction": "score"}, "prediction is 'score', expected one of epsilon, v, sample"),
     ({"schedule": "sqrt"}, "schedule is 'sqrt', expected one of linear, cosine"),
     ({"timesteps": 1}, "timesteps is 1, expected at least 2"),
     ({"beta_start": 0.03}, "beta_start 0.03, beta_end 0.02; expected 0 < beta_start < beta_end < 1")],
)  # fmt: skip
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        build_denoiser(toy(), {**DDPM, **change})


def test_noise_levels_beyond_the_timesteps_are_refused():
    with pytest.raises(InputError, match=r"0.002 to 80.0, expected 0.0100005 to 157.407 as the network's timesteps"):
        build_sampler({"kind": "euler", "steps": 5, "sigma_min": 0.002, "sigma_max": 80.0}, build_denoiser(toy(), DDPM))


@pytest.mark.parametrize(
    ("sampler", "message"),
    [({"kind": "euler", "sigmas": [5000.0, 1.0]}, r"noise levels 1.0 to 5000.0, expected .*correct them"),
     ({"kind": "euler", "sigmas": [1.0, 1e-9]}, r"noise levels 1e-09 to 1.0, expected"),
     ({"kind": "heun", "steps": 100}, r"are nearest to one timestep, expected a timestep for each; take fewer steps")],
)  # fmt: skip
def test_levels_that_the_timesteps_do_not_have_are_refused(sampler, message):
    denoiser = build_denoiser(toy, {**DDPM, "nearest_timestep": True})
    with pytest.raises(InputError, match=message):
        build_sampler(sampler, denoiser)
