"""Generators and extractors in float64, and the gradient by one graph over the whole sample, to compare with."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from tiny import CPU, SCORING, TinyRun

from lcsc.evaluation import Workers
from lcsc.generators import NetworkGenerator, build_generator
from lcsc.gradients import GradientEvaluator
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.noise import Noise

EDM = {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
SAMPLERS = {
    "one step": {},
    "two steps": {"sampler": {"kind": "consistency", "sigmas": [80.0, 1.0]}},
    "euler": {"preconditioning": EDM, "sampler": {"kind": "euler", "steps": 3, "sigma_max": 5.0}},
    "heun": {"preconditioning": EDM, "sampler": {"kind": "heun", "steps": 2, "sigma_max": 5.0}},
}


@dataclass(frozen=True)
class Exact:
    """An extractor that keeps float64."""

    name: str
    dimension: int
    module: torch.nn.Module

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.module(images)


def exact_extractor(run: TinyRun, name: str = "mlp") -> Exact:
    made = run.extractor(name)
    return Exact(made.name, made.dimension, copy.deepcopy(made.module).double())


def exact_generator(run: TinyRun, sampler: str = "one step") -> NetworkGenerator:
    bank = run.bank
    return build_generator({**SCORING, **SAMPLERS[sampler]}, bank.tensors, bank.others(), CPU, torch.float64)


def reference_of(dimension: int, count: int = 60, seed: int = 0) -> Reference:
    """A reference of ``count`` features; its covariance is singular for count <= dimension."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimension, dimension))
    return Reference.of(feature_statistics(2 * rng.normal(size=(count, dimension)) @ mixing + 1))


def exact_evaluator(
    run: TinyRun,
    sampler: str = "one step",
    images: int = 20,
    chunk: int = 7,
    reference: Reference | None = None,
    workers: int = 1,
    quantised: bool = False,
) -> GradientEvaluator:
    extractor = exact_extractor(run)
    pool = Workers(lambda: exact_generator(run, sampler), workers)
    with pool.generator() as generator:
        noise = Noise("search", 0, 0, images, generator.noise_shapes)
    reference = reference or run.reference("mlp").reference
    return GradientEvaluator(pool, extractor, reference, noise, chunk, quantised)


def nuclear_distance(features: torch.Tensor, reference: Reference) -> torch.Tensor:
    """The Fréchet distance by singular values, which autograd differentiates."""
    count, statistics = len(features), reference.statistics
    mean = features.mean(0)
    scaled = (features - mean) / (count - 1) ** 0.5
    factor = torch.from_numpy(reference.factor)
    cross = torch.linalg.svdvals(scaled @ factor)[: min(count - 1, factor.shape[1])].sum()
    shift = (mean - torch.from_numpy(statistics.mean)).square().sum()
    return shift + scaled.square().sum() + float(np.trace(statistics.covariance)) - 2 * cross


def whole_gradient(evaluator: GradientEvaluator, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient by plain automatic differentiation of the whole sample at once."""
    flat_vector = torch.from_numpy(weights.astype(np.float64)).requires_grad_()
    with evaluator.workers.generator() as generator:
        denoiser, flat = copy.copy(generator.denoiser), generator.flat
        object.__setattr__(denoiser, "network", lambda x, level: flat.call(flat_vector, x, level))
        noises = [array.double() for array in evaluator.noise.chunk(0, evaluator.images).arrays]
        images = generator.sampler(denoiser, noises).clamp(-1, 1)
        if evaluator.quantised:
            images = images + (((images + 1) * 127.5).round() / 127.5 - 1 - images).detach()
        value = nuclear_distance(evaluator.extractor(images), evaluator.reference)
    (gradient,) = torch.autograd.grad(value, flat_vector)
    return float(value.detach()), gradient.numpy()
