from __future__ import annotations

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
    with pytest.raises(InputError, match="needs preconditioning of that kind, found 'edm'"):
        build_sampler({"kind": "consistency", "sigmas": [80.0]}, edm)
    with pytest.raises(InputError, match="kind is 'magic', expected one of consistency"):
        build_sampler({"kind": "magic"}, edm)
