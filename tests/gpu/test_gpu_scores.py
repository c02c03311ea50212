"""Scores and gradients on a GPU: near those of the CPU, and the same bytes each time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from on_gpu import DEVICE, GPU, SAMPLERS, context_on, evaluator_on
from test_shards import candidates_of, scored_by, scored_in_shares
from tiny import CPU, TinyRun

from lcsc.bank.combination import combine
from lcsc.evaluation import measure
from lcsc.extractors import load_extractor
from lcsc.gradients import GradientEvaluator
from lcsc.groups import make_groups
from lcsc.search_scoring import SearchScoring

pytestmark = GPU


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_scores_and_gradients_are_those_of_the_cpu(tiny_run: TinyRun, sampler: str) -> None:
    """Up to rounding: 1e-3 of a score, since pixels may be rounded to the next byte, and 1e-3 of a gradient."""
    changed = SAMPLERS[sampler]
    weights = tiny_run.bank.checkpoint(3)
    cpu, gpu = (evaluator_on(tiny_run, device, **changed) for device in (CPU, DEVICE))
    assert gpu.score(weights).value == pytest.approx(cpu.score(weights).value, rel=1e-3)
    expected, found = (
        dataclasses.replace(GradientEvaluator.of(evaluator), quantised=False).value_and_gradient(weights)
        for evaluator in (cpu, gpu)
    )
    assert found.score.value == pytest.approx(expected.score.value, rel=1e-4)
    assert relative(found.gradient, expected.gradient) < 1e-3


def test_the_noise_is_the_cpus(tiny_run: TinyRun) -> None:
    draws = [context_on(tiny_run, device).noise("search", 0, 300).chunk(0, 300) for device in (CPU, DEVICE)]
    for mine, theirs in zip(draws[0].arrays, draws[1].to(DEVICE).arrays, strict=True):
        assert torch.equal(mine, theirs.cpu())


def test_the_same_bytes_each_time(tiny_run: TinyRun) -> None:
    weights = tiny_run.bank.checkpoint(3)
    found = []
    for _ in range(2):
        evaluator = evaluator_on(tiny_run)
        with evaluator.workers.generator() as generator:
            generator.load(weights)
            (features,) = measure(generator, [evaluator.extractor], evaluator.noise, 50)
        score, gradient = GradientEvaluator.of(evaluator).value_and_gradient(weights)
        found.append((features.tobytes(), evaluator.score(weights).value, score.value, gradient.tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["all", "tensor"])
def test_one_hot_rows_are_that_checkpoint_bit_for_bit(tiny_run: TinyRun, kind: str) -> None:
    bank = context_on(tiny_run).bank
    groups = make_groups(bank.tensors, kind)
    for k in range(bank.K):
        alpha = np.zeros((1, groups.G, bank.K))
        alpha[:, :, k] = 1
        assert combine(bank, alpha, groups)[0].tobytes() == tiny_run.bank.checkpoint(k).tobytes()


@pytest.fixture
def scoring(tiny_run: TinyRun) -> SearchScoring:
    context = context_on(tiny_run)
    extractor = load_extractor(tiny_run.folder / "cnn.safetensors", DEVICE)
    evaluator = context.evaluator(extractor, tiny_run.reference("cnn"), "search", 130)
    evaluator = dataclasses.replace(evaluator, chunk=20)
    return SearchScoring(context, evaluator, make_groups(context.bank.tensors, "tensor"))


@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_shards_give_the_same_bytes(scoring: SearchScoring, tmp_path: Path, count: int, with_gradients: bool) -> None:
    candidates = candidates_of(scoring, 4)
    whole = scored_by(scoring, candidates, tmp_path / "whole", with_gradients)
    shared = scored_in_shares(scoring, candidates, tmp_path / "shared", with_gradients, count)
    assert [score.value for score in whole] == [score.value for score in shared]
    if with_gradients:
        assert all(a.gradient.tobytes() == b.gradient.tobytes() for a, b in zip(whole, shared, strict=True))


def test_tf32_is_off(tiny_run: TinyRun) -> None:
    """In TF32 a product of float32 matrices errs by 3e-4, in float32 by 1e-6."""
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.standard_normal((512, 512), dtype=np.float32)) for _ in range(2))
    exact = (a.double() @ b.double()).numpy()
    assert relative((a.to(DEVICE) @ b.to(DEVICE)).cpu().numpy(), exact) < 2e-6
    kernel = torch.from_numpy(rng.standard_normal((64, 64, 3, 3), dtype=np.float32))
    images = torch.from_numpy(rng.standard_normal((8, 64, 16, 16), dtype=np.float32))
    exact = torch.nn.functional.conv2d(images.double(), kernel.double()).numpy()
    assert relative(torch.nn.functional.conv2d(images.to(DEVICE), kernel.to(DEVICE)).cpu().numpy(), exact) < 2e-6
