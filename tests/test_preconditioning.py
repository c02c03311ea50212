from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.errors import InputError
from lcsc.generators.preconditioning import Denoiser, build_denoiser, coefficients

SETTINGS = {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
SIGMAS = torch.tensor([0.002, 0.1, 0.5, 3.0, 80.0], dtype=torch.float64)


def network(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
    return torch.sin(3 * x) + noise_level.view(-1, 1, 1, 1)


def test_edm_coefficients_are_those_of_the_papers_table_1():
    data, found = 0.5, coefficients(SIGMAS, 0.5, 0.0)
    sigma = SIGMAS.numpy()
    np.testing.assert_allclose(found.skip, data**2 / (sigma**2 + data**2), rtol=1e-14)
    np.testing.assert_allclose(found.out, sigma * data / np.sqrt(sigma**2 + data**2), rtol=1e-14)
    np.testing.assert_allclose(found.scale, 1 / np.sqrt(sigma**2 + data**2), rtol=1e-14)
    np.testing.assert_allclose(found.noise, np.log(sigma) / 4, rtol=1e-14)


def test_consistency_coefficients_are_moved_by_sigma_min():
    data, low, found = 0.5, 0.002, coefficients(SIGMAS, 0.5, 0.002)
    sigma = SIGMAS.numpy()
    np.testing.assert_allclose(found.skip, data**2 / ((sigma - low) ** 2 + data**2), rtol=1e-14)
    np.testing.assert_allclose(found.out, data * (sigma - low) / np.sqrt(sigma**2 + data**2), rtol=1e-14)
    np.testing.assert_allclose(found.scale, 1 / np.sqrt(sigma**2 + data**2), rtol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-4, 0.1), st.floats(0.1, 2), st.integers(0, 99))
def test_a_consistency_function_is_the_identity_at_sigma_min(sigma_min, sigma_data, seed):
    denoiser = Denoiser(network, "consistency", sigma_min, 80.0, sigma_data)
    x = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.equal(denoiser(x, torch.full((3,), sigma_min, dtype=torch.float64)), x)


@pytest.mark.parametrize("sigma", [0.01, 1.0, 80.0])
def test_edm_gives_network_input_and_target_unit_variance(sigma):
    c = coefficients(torch.tensor([sigma], dtype=torch.float64), 0.5, 0.0)
    # Independent data and noise: the target is (y - c_skip (y + n)) / c_out (equations 114 to 131).
    variance_in = float(c.scale) ** 2 * (0.5**2 + sigma**2)
    variance_out = ((1 - float(c.skip)) ** 2 * 0.5**2 + float(c.skip) ** 2 * sigma**2) / float(c.out) ** 2
    assert math.isclose(variance_in, 1, rel_tol=1e-12)
    assert math.isclose(variance_out, 1, rel_tol=1e-9)


@pytest.mark.parametrize(("kind", "boundary"), [("edm", 0.0), ("consistency", 0.002)])
def test_denoiser_applies_the_coefficients_sample_by_sample(kind, boundary):
    denoiser = build_denoiser(network, {**SETTINGS, "kind": kind})
    x = torch.randn(len(SIGMAS), 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = denoiser(x, SIGMAS)
    for i, sigma in enumerate(SIGMAS):
        c = coefficients(sigma, 0.5, boundary)
        expected = c.skip * x[i] + c.out * (torch.sin(3 * c.scale * x[i]) + c.noise)
        torch.testing.assert_close(together[i], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "vp"}, "kind is 'vp', expected one of consistency, edm"),
     ({"sigma_min": 0}, "sigma_min 0.0"),
     ({"sigma_max": 0.001}, "expected 0 < sigma_min < sigma_max"),
     ({"sigma_data": -1}, "sigma_data is -1.0")],
)  # fmt: skip
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        build_denoiser(network, {**SETTINGS, **change})
