"""The denoiser's training loss against what can be known without training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lcsc.errors import InputError
from lcsc.generators.preconditioning import Denoiser, coefficients
from lcsc.training.denoising import DenoisingTraining, loss_weight
from lcsc.training.recipes import make_recipe

SIGMA_DATA = 0.5


def denoiser(network, kind: str = "edm") -> Denoiser:
    return Denoiser(network, kind, 0.002, 80.0, SIGMA_DATA)


def test_weight_undoes_the_output_scale():
    sigma = torch.logspace(-2, 2, 50, dtype=torch.float64)
    out = coefficients(sigma, SIGMA_DATA, 0.0).out
    torch.testing.assert_close(loss_weight(sigma, SIGMA_DATA) * out.square(), torch.ones_like(sigma))


def test_silent_network_has_a_loss_of_one_on_gaussian_images():
    # The best denoiser of N(0, σ_data²) is c_skip(σ) x, whose error is 1 / λ(σ) at every level.
    loss = DenoisingTraining({}, denoiser(lambda x, noise: torch.zeros_like(x)))
    images = SIGMA_DATA * torch.randn(20_000, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = loss(images, 0, torch.Generator().manual_seed(2))
    assert float(found) == pytest.approx(1.0, abs=0.01)


def test_perfect_denoiser_has_no_loss():
    image = torch.linspace(-1, 1, 16, dtype=torch.float64).view(1, 1, 4, 4)

    def network(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        sigma = (4 * noise).exp()
        skip, out, scale, _ = (c.view(-1, 1, 1, 1) for c in coefficients(sigma, SIGMA_DATA, 0.0))
        return (image - skip * x / scale) / out

    loss = DenoisingTraining({}, denoiser(network))(image.repeat(64, 1, 1, 1), 0, torch.Generator().manual_seed(3))
    assert float(loss) < 1e-9


def test_same_generator_gives_the_same_loss_at_any_step():
    loss = DenoisingTraining({}, denoiser(lambda x, noise: x.tanh()))
    images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    one, two = (loss(images, step, torch.Generator().manual_seed(5)) for step in (0, 1000))
    assert torch.equal(one, two)


def test_consistency_preconditioning_is_refused():
    with pytest.raises(InputError, match="recipe 'edm' needs preconditioning of kind 'edm', found 'consistency'"):
        make_recipe({"recipe": "edm"}, denoiser(lambda x, noise: x, "consistency"), nn.Identity(), None)
