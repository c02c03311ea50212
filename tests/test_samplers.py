from __future__ import annotations

import itertools
import math

import pytest
import torch

from lcsc.errors import InputError
from lcsc.generators.preconditioning import build_denoiser
from lcsc.generators.samplers import build_sampler

PRECONDITIONING = {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}


def zero(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x)


class Recorder:
    """Stands for a denoiser; returns black images, so that what it is given later is noise alone."""

    kind, sigma_min = "consistency", 0.002

    def __init__(self) -> None:
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        self.seen.append((x, sigma))
        return torch.zeros_like(x)


def noises(count: int, batch: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 1, 3, 3, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_one_step_is_the_consistency_function_of_scaled_noise():
    denoiser = build_denoiser(zero, PRECONDITIONING)
    sampler = build_sampler({"kind": "consistency", "sigmas": [80.0]}, denoiser)
    assert (sampler.nfe, sampler.noise_arrays) == (1, 1)
    (noise,) = noises(1)
    skip = 0.25 / ((80 - 0.002) ** 2 + 0.25)
    torch.testing.assert_close(sampler(denoiser, [noise]), skip * 80 * noise, rtol=1e-12, atol=0)


def test_later_steps_add_fresh_noise_up_to_their_level():
    sigmas, recorder = [80.0, 5.0, 0.661], Recorder()
    sampler = build_sampler({"kind": "consistency", "sigmas": sigmas}, recorder)
    assert (sampler.nfe, sampler.noise_arrays) == (3, 3)
    given = noises(3)
    sampler(recorder, given)
    assert [float(level[0]) for _, level in recorder.seen] == sigmas
    assert all(level.shape == (4,) for _, level in recorder.seen)
    torch.testing.assert_close(recorder.seen[0][0], 80.0 * given[0])
    for (x, _), noise, sigma in zip(recorder.seen[1:], given[1:], sigmas[1:], strict=True):
        torch.testing.assert_close(x, (sigma**2 - 0.002**2) ** 0.5 * noise, rtol=1e-12, atol=0)


def test_multi_step_equals_the_algorithm_written_out():
    denoiser = build_denoiser(lambda x, level: torch.tanh(x) * level.view(-1, 1, 1, 1), PRECONDITIONING)
    sampler = build_sampler({"kind": "consistency", "sigmas": [80.0, 2.0]}, denoiser)
    first, second = noises(2)
    x = denoiser(80 * first, torch.full((4,), 80.0, dtype=torch.float64))
    x = denoiser(x + (2.0**2 - 0.002**2) ** 0.5 * second, torch.full((4,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(sampler(denoiser, [first, second]), x, rtol=1e-12, atol=1e-12)


def test_a_sample_does_not_depend_on_its_batch():
    denoiser = build_denoiser(lambda x, level: torch.sin(x), PRECONDITIONING)
    sampler = build_sampler({"kind": "consistency", "sigmas": [80.0, 2.0]}, denoiser)
    given = noises(2, batch=6)
    parts = [sampler(denoiser, [noise[rows] for noise in given]) for rows in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(parts), sampler(denoiser, given), rtol=0, atol=0)


@pytest.mark.parametrize("sigmas", [[], [1.0, 2.0], [2.0, 2.0], [80.0, 0.002], [80.0, -1.0], [float("inf"), 1.0]])
def test_noise_levels_that_do_not_fall_towards_sigma_min_are_refused(sigmas):
    with pytest.raises(InputError, match="sigmas"):
        build_sampler({"kind": "consistency", "sigmas": sigmas}, build_denoiser(zero, PRECONDITIONING))


def test_unknown_samplers_and_other_preconditionings_are_refused():
    edm = build_denoiser(zero, {**PRECONDITIONING, "kind": "edm"})
    with pytest.raises(InputError, match="'consistency' needs preconditioning of kind 'consistency', found 'edm'"):
        build_sampler({"kind": "consistency", "sigmas": [80.0]}, edm)
    with pytest.raises(InputError, match="kind is 'magic', expected one of ancestral, consistency"):
        build_sampler({"kind": "magic"}, edm)


EDM = {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}


def edm_denoiser(network=zero, **changes):
    """With a network that says nothing it is exact for Gaussian data: x s^2 / (s^2 + sigma^2)."""
    return build_denoiser(network, {**EDM, **changes})


def wave(x, level):
    return torch.sin(x) * level.view(-1, 1, 1, 1)


def textbook(denoiser, noise, sigmas, heun):
    """Algorithm 1 of Karras et al. 2022 without churn, line by line."""
    times = [*sigmas, 0.0]
    x = times[0] * noise
    for i in range(len(sigmas)):
        level = torch.full((len(x),), times[i], dtype=x.dtype)
        d = (x - denoiser(x, level)) / times[i]
        following = x + (times[i + 1] - times[i]) * d
        if heun and times[i + 1] != 0:
            level = torch.full((len(x),), times[i + 1], dtype=x.dtype)
            d_next = (following - denoiser(following, level)) / times[i + 1]
            following = x + (times[i + 1] - times[i]) * (d / 2 + d_next / 2)
        x = following
    return x


@pytest.mark.parametrize(("kind", "nfe"), [("euler", 4), ("heun", 7)])
def test_ode_samplers_are_the_algorithm_written_out(kind, nfe):
    sigmas = [80.0, 9.0, 1.0, 0.1]
    denoiser = edm_denoiser(wave)
    sampler = build_sampler({"kind": kind, "sigmas": sigmas}, denoiser)
    assert (sampler.nfe, sampler.noise_arrays) == (nfe, 1)
    given = noises(1)
    expected = textbook(denoiser, given[0], sigmas, kind == "heun")
    torch.testing.assert_close(sampler(denoiser, given), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["euler", "heun"])
def test_nfe_counts_the_calls_of_the_network(kind):
    for steps in (1, 2, 5):
        calls = []
        denoiser = edm_denoiser(lambda x, level, calls=calls: calls.append(level) or torch.zeros_like(x))
        sampler = build_sampler({"kind": kind, "steps": steps}, denoiser)
        sampler(denoiser, noises(1))
        assert sampler.nfe == len(calls) == (steps if kind == "euler" else 2 * steps - 1)


def test_levels_are_those_of_karras():
    sampler = build_sampler({"kind": "euler", "steps": 5}, edm_denoiser())
    expected = [(80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(5)]
    assert sampler.sigmas == pytest.approx(expected, rel=1e-12)
    settings = {"kind": "heun", "steps": 3, "sigma_min": 1.0, "sigma_max": 9.0, "rho": 1.0}
    assert build_sampler(settings, edm_denoiser()).sigmas == pytest.approx((9.0, 5.0, 1.0))
    assert build_sampler({"kind": "euler", "steps": 1}, edm_denoiser()).sigmas == pytest.approx((80.0,))


@pytest.mark.parametrize(("kind", "order"), [("euler", 1), ("heun", 2)])
def test_errors_fall_with_the_order_of_the_method(kind, order):
    s, start, end = 0.5, 3.0, 1e-4
    denoiser = edm_denoiser(sigma_data=s)
    given = noises(1)
    exact = start * given[0] * s / (s**2 + start**2) ** 0.5

    def error(steps):
        settings = {"kind": kind, "steps": steps, "sigma_min": end, "sigma_max": start, "rho": 3.0}
        return float((build_sampler(settings, denoiser)(denoiser, given) - exact).norm() / exact.norm())

    errors = [error(steps) for steps in (20, 40, 80)]
    assert errors[-1] < (0.03 if order == 1 else 1e-3)
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({}, "found neither of 'sigmas' and 'steps'"),
     ({"steps": 3, "sigmas": [1.0]}, "found both of 'sigmas' and 'steps'"),
     ({"steps": 0}, "steps 0, .*expected steps >= 1"),
     ({"steps": 3, "sigma_min": 5.0, "sigma_max": 1.0}, "expected 0 < sigma_min < sigma_max"),
     ({"steps": 3, "rho": 0}, "and rho > 0"),
     ({"sigmas": []}, "sigmas is empty"),
     ({"sigmas": [1.0, 2.0]}, "expected them to fall and to be positive"),
     ({"sigmas": [1.0, 0.0]}, "expected them to fall and to be positive"),
     ({"sigmas": [float("inf"), 1.0]}, "expected them to fall and to be positive")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["euler", "heun"])
def test_settings_of_ode_samplers_that_make_no_sense_are_refused(kind, settings, message):
    with pytest.raises(InputError, match=message):
        build_sampler({"kind": kind, **settings}, edm_denoiser())


def test_ode_samplers_need_edm_preconditioning():
    with pytest.raises(InputError, match="'heun' needs preconditioning of kind 'edm' or 'ddpm', found 'consistency'"):
        build_sampler({"kind": "heun", "steps": 2}, build_denoiser(zero, PRECONDITIONING))
