"""The gradient through every sampler: equal to plain automatic differentiation, and to differences of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusion import CONSISTENCY, DDPM, EDM, noises, toy
from test_generators import entries, flatten

from lcsc.generators import NetworkGenerator, build_generator

OPENAI = {**CONSISTENCY, "noise_scale": 1000.0}
LEARNED = {**DDPM, "schedule": "cosine", "timesteps": 4000, "learned_variance": True, "rescale_timesteps": True}
V, SAMPLE = {**DDPM, "prediction": "v"}, {**DDPM, "prediction": "sample"}
CASES = {
    "consistency by ts": (OPENAI, {"kind": "consistency", "ts": [0, 22, 30, 39], "steps": 40, "clip": True}),
    "euler": (EDM, {"kind": "euler", "steps": 5}),
    "euler over timesteps": (V, {"kind": "euler", "steps": 5, "sigma_max": 20.0, "clip": True}),
    "heun over timesteps": (DDPM, {"kind": "heun", "steps": 4, "sigma_max": 5.0}),
    "ancestral, learned variance": (LEARNED, {"kind": "ancestral", "steps": 6}),
    "ancestral, fixed variance": (SAMPLE, {"kind": "ancestral", "steps": 6, "variance": "small", "clip": False}),
    "ancestral in noise levels": (EDM, {"kind": "ancestral", "steps": 5}),
    "ddim": (DDPM, {"kind": "ddim", "steps": 6}),
    "ddim with noise and clip": (LEARNED, {"kind": "ddim", "steps": 6, "eta": 0.5, "clip": True}),
    "dpm-solver++ 2M": (DDPM, {"kind": "dpm-solver++", "steps": 6}),
    "dpm-solver++ 3M": (V, {"kind": "dpm-solver++", "steps": 6, "order": 3}),
    "dpm-solver++ 3M of edm": (EDM, {"kind": "dpm-solver++", "steps": 6, "order": 3}),
}
# The scheduler of DPM-Solver++ for timesteps passes images through float32, which differences of images see.
ROUNDED = ("dpm-solver++ 2M", "dpm-solver++ 3M")
BATCH = 4


def generator_of(case: str) -> tuple[NetworkGenerator, np.ndarray]:
    """In float64, with the weights of the toy network in place."""
    preconditioning, sampler = CASES[case]
    args = {
        "prediction": preconditioning.get("prediction"),
        "learned_variance": preconditioning.get("learned_variance", False),
    }
    settings = {
        "network": {"factory": "diffusion:Toy", "args": args, "image_shape": [3, 6, 6]},
        "preconditioning": preconditioning,
        "sampler": sampler,
    }
    source = toy(dtype=torch.float32, **args)
    table = entries(source)
    generator = build_generator(settings, table, {}, dtype=torch.float64)
    weights = flatten(source, table).astype(np.float64)
    generator.flat.load(torch.from_numpy(weights))
    return generator, weights


def plain_images(generator: NetworkGenerator, vector: torch.Tensor, given: list[torch.Tensor]) -> torch.Tensor:
    """One graph over all network evaluations, weights and all, without checkpoints."""
    denoiser = type(generator.denoiser)(
        **{
            **vars(generator.denoiser),
            "network": lambda x, level: generator.flat.call(vector, x, level),
        }
    )
    return generator.sampler(denoiser, given).clamp(-1, 1)


@pytest.mark.parametrize("case", CASES)
def test_equals_plain_differentiation_and_differences(case):
    generator, weights = generator_of(case)
    given = noises(generator.sampler.noise_arrays, BATCH)
    slopes = torch.randn(BATCH, 3, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    leaves = generator.flat.leaves()
    images = generator.differentiable(leaves, given)
    assert torch.equal(images.detach(), generator(given))
    assert images.detach().abs().lt(1).double().mean() > 0.5
    parts = torch.autograd.grad((images * slopes).sum(), leaves)
    found = torch.cat([part.reshape(-1) for part in parts])

    vector = torch.from_numpy(weights).requires_grad_()
    (expected,) = torch.autograd.grad((plain_images(generator, vector, given) * slopes).sum(), vector)
    assert float(expected.norm()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))

    if case not in ROUNDED:
        direction = expected.detach() / expected.norm()
        values = [
            (plain_images(generator, vector.detach() + sign * 1e-6 * direction, given) * slopes).sum()
            for sign in (1, -1)
        ]
        assert float(found @ direction) == pytest.approx(float(values[0] - values[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_the_network_is_evaluated_as_often_as_said_and_the_weights_stay(case):
    generator, weights = generator_of(case)
    calls = []
    generator.flat.module.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    given = noises(generator.sampler.noise_arrays, BATCH)
    before = [array.clone() for array in given]
    with torch.inference_mode():
        images = generator(given)
    assert calls == [BATCH] * generator.nfe
    assert images.isfinite().all()
    assert all(torch.equal(array, kept) for array, kept in zip(given, before, strict=True))
    assert np.array_equal(generator.flat.buffer.numpy(), weights)
    with torch.inference_mode():
        assert torch.equal(generator(given), images)


@pytest.mark.parametrize("case", ["euler", "heun over timesteps"])
def test_a_gradient_makes_every_evaluation_but_the_last_twice(case):
    generator, _ = generator_of(case)
    calls = []
    generator.flat.module.register_forward_pre_hook(lambda module, inputs: calls.append(len(inputs[0])))
    leaves = generator.flat.leaves()
    torch.autograd.grad(generator.differentiable(leaves, noises(1, BATCH)).sum(), leaves)
    assert calls == [BATCH] * (2 * generator.nfe - 1)
