"""The gradient of a score in the weights: exact, in chunks, on any number of workers."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from exact import SAMPLERS, Exact, exact_evaluator, exact_generator, reference_of, whole_gradient
from tiny import CPU, SCORING

from lcsc.bank import TensorEntry
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient, projected
from lcsc.errors import InputError
from lcsc.evaluation import Workers
from lcsc.generators import FlatModule, build_generator
from lcsc.gradients import PARTS, GradientEvaluator
from lcsc.groups import make_groups
from lcsc.scoring import Context
from lcsc.straight_through import StraightThrough
from lcsc.tree_sum import TreeSum

pytestmark = pytest.mark.usefixtures("one_thread")

# Images and images of the reference, for features of 6 dimensions: more and fewer, and a singular reference.
SIZES = [(20, 60), (5, 60), (20, 4), (5, 4)]


@pytest.fixture
def weights(tiny_run):
    return tiny_run.bank.checkpoint(2).astype(np.float64)


def difference(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def slope_along(evaluator, weights, direction, step=1e-6):
    values = [evaluator.value_and_gradient(weights + sign * step * direction).score.value for sign in (1, -1)]
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("images", "real"), SIZES)
def test_matches_central_differences_and_one_graph_over_all_images(tiny_run, weights, sampler, images, real):
    evaluator = exact_evaluator(tiny_run, sampler, images, 7, reference_of(6, real))
    (score, gradient) = evaluator.value_and_gradient(weights)
    assert (gradient.shape, gradient.dtype) == ((tiny_run.bank.P,), np.float64)
    value, expected = whole_gradient(evaluator, weights)
    assert score.value == pytest.approx(value, rel=1e-10)
    assert difference(gradient, expected) < 1e-7
    directions = [gradient / np.linalg.norm(gradient), np.random.default_rng(0).normal(size=weights.shape)]
    for direction in directions:
        slope = slope_along(evaluator, weights, direction)
        assert float(gradient @ direction) == pytest.approx(slope, rel=1e-5, abs=1e-5 * np.linalg.norm(gradient))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_any_chunk_size_gives_the_same_gradient(tiny_run, weights, sampler):
    reference = exact_evaluator(tiny_run, sampler, 40, 40).value_and_gradient(weights)
    for chunk in (1, 7, 64):
        found = exact_evaluator(tiny_run, sampler, 40, chunk).value_and_gradient(weights)
        assert found.score.value == pytest.approx(reference.score.value, rel=1e-9)
        assert difference(found.gradient, reference.gradient) < 1e-8


def test_rounding_is_passed_straight_through(tiny_run, weights):
    rounded = exact_evaluator(tiny_run, "two steps", 20, 7, quantised=True)
    score, gradient = rounded.value_and_gradient(weights)
    value, expected = whole_gradient(rounded, weights)
    assert score.value == pytest.approx(value, rel=1e-6)
    assert difference(gradient, expected) < 1e-5
    smooth = dataclasses.replace(rounded, quantised=False).value_and_gradient(weights)
    assert 0 < difference(gradient, smooth.gradient) < 0.2
    images = torch.linspace(-1, 1, 1001, requires_grad=True)
    grid = StraightThrough.apply(images)
    assert len(grid.unique()) == 256
    assert (grid - images).abs().max() <= 1 / 255 + 1e-6
    (slopes,) = torch.autograd.grad((3 * grid).sum(), images)
    assert torch.equal(slopes, torch.full_like(images, 3))


def test_pixels_beyond_the_range_pass_nothing_back(tiny_run, weights):
    evaluator = exact_evaluator(tiny_run, "one step", 20, 7)
    shifted = weights.copy()
    (bias,) = (entry for entry in tiny_run.bank.tensors if entry.name == "leave.bias")
    shifted[bias.offset] = 100.0
    gradient = evaluator.value_and_gradient(shifted).gradient
    assert gradient[bias.offset] == 0
    assert (gradient[bias.offset + 1 : bias.offset + bias.count] != 0).any()


def float_evaluator(tiny_run, context, images=330):
    evaluator = context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "search", images)
    return evaluator, GradientEvaluator.of(dataclasses.replace(evaluator, chunk=10))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_workers_do_not_change_a_bit_and_the_value_is_the_evaluators(tiny_run, sampler):
    found = []
    weights = tiny_run.bank.checkpoint(1)
    for processes in (1, 3):
        context = Context.open({**SCORING, **SAMPLERS[sampler]}, tiny_run.folder / "bank", CPU, processes)
        evaluator, gradients = float_evaluator(tiny_run, context)
        value = dataclasses.replace(evaluator, chunk=10).score(weights).value
        found.append(gradients.value_and_gradient(weights))
        assert found[-1].score.value == pytest.approx(value, rel=1e-12)
    assert found[0].score.value == found[1].score.value
    assert found[0].gradient.tobytes() == found[1].gradient.tobytes()


@pytest.mark.parametrize("images", [330, 70, 33, 4])
def test_shards_of_whole_parts_add_up_to_the_same_bytes(tiny_run, images):
    """Also where there are fewer chunks than parts, so that some shards have nothing to do, and fewer images than D."""
    _, gradients = float_evaluator(tiny_run, tiny_run.context(2), images)
    weights = tiny_run.bank.checkpoint(1)
    whole = gradients.value_and_gradient(weights)
    parts = gradients.parts
    for count in (1, 2, 4, 8, 16):
        size = PARTS // count
        shares = [parts[start : start + size] for start in range(0, PARTS, size)]
        features = [gradients.features(weights, share) for share in shares]
        value, slopes, reason = gradients.slopes(np.concatenate(features))
        total = TreeSum(count)
        for place in reversed(range(count)):
            total.add(place, gradients.gradient(weights, features[place], slopes, shares[place]))
        assert (value, reason) == (whole.score.value, None)
        assert total.value.tobytes() == whole.gradient.tobytes()


def test_parts_are_whole_chunks_and_every_branch_has_its_share(tiny_run):
    _, gradients = float_evaluator(tiny_run, tiny_run.context())
    parts = gradients.parts
    assert len(parts) == PARTS
    assert [start for start, _ in parts[1:]] == [stop for _, stop in parts[:-1]]
    assert {(stop - start) % 10 for start, stop in parts} == {0}
    _, few = float_evaluator(tiny_run, tiny_run.context(), 33)
    assert few.images == 33
    assert [part for part in few.parts if part[0] < part[1]] == [(0, 10), (10, 20), (20, 30), (30, 33)]
    assert [few.parts[i][0] for i in range(0, PARTS, 4)] == [0, 10, 20, 30]


def test_float32_is_close_to_float64(tiny_run, weights):
    exact = exact_evaluator(tiny_run, "heun", 50, 10)
    settings, bank = {**SCORING, **SAMPLERS["heun"]}, tiny_run.bank
    pool = Workers(lambda: build_generator(settings, bank.tensors, bank.others(), CPU), 1)
    single = dataclasses.replace(exact, workers=pool, extractor=tiny_run.extractor("mlp"))
    expected = exact.value_and_gradient(weights).gradient
    assert difference(single.value_and_gradient(weights).gradient, expected) < 1e-4


@pytest.mark.parametrize("kind", ["all", "tensor"])
def test_a_step_along_the_coefficients_changes_the_score_as_the_gradient_says(tiny_run, kind):
    bank = tiny_run.bank
    evaluator, groups = exact_evaluator(tiny_run, "one step", 40, 20), make_groups(bank.tensors, kind)
    rows = np.stack([bank.checkpoint(k) for k in range(bank.K)]).astype(np.float64)
    alpha = np.full((1, groups.G, bank.K), 1 / bank.K)
    gradient = evaluator.value_and_gradient(combine(bank, alpha, groups)[0]).gradient
    downhill = -projected(coefficient_gradient(bank, gradient, groups))

    def value(step):
        merged = np.empty(bank.P)
        for start, stop, row in groups.runs:
            merged[start:stop] = (alpha[0, row] + step * downhill[row]) @ rows[:, start:stop]
        return evaluator.value_and_gradient(merged).score.value

    step = 1e-6 / np.linalg.norm(downhill)
    slope = (value(step) - value(-step)) / (2 * step)
    assert slope == pytest.approx(-np.square(downhill).sum(), rel=1e-5)


def test_what_is_not_finite_has_no_gradient_and_says_why(tiny_run):
    _, gradients = float_evaluator(tiny_run, tiny_run.context())
    score, gradient = gradients.value_and_gradient(np.full(tiny_run.bank.P, np.nan, np.float32))
    assert (score.value, score.reason, gradient) == (None, "the combined weights are not finite", None)
    score, gradient = gradients.value_and_gradient(np.full(tiny_run.bank.P, 1e30, np.float32))
    assert (score.value, gradient) == (None, None)
    assert "images have features that are not finite" in str(score.reason)
    assert score.order == np.inf


def test_a_slope_that_overflows_is_no_gradient(tiny_run, weights):
    class Steep(torch.nn.Module):
        def forward(self, images):
            return torch.sqrt((images.flatten(1)[:, :6]) * 0)

    gradients = exact_evaluator(tiny_run, images=20)
    gradients = dataclasses.replace(gradients, extractor=Exact("steep", 6, Steep()))
    score, gradient = gradients.value_and_gradient(weights)
    assert (score.value, score.reason, gradient) == (None, "the gradient is not finite", None)


def test_extractors_that_are_not_differentiable_are_refused_with_the_ways_out(tiny_run, weights):
    made = exact_evaluator(tiny_run)
    bytes_only = copy.copy(made.extractor)
    object.__setattr__(bytes_only, "differentiable", False)
    expected = "extractor mlp: is not differentiable.*its twin.*`resize: bicubic.*keep mlp to choose.*value search"
    with pytest.raises(InputError, match=expected) as caught:
        dataclasses.replace(made, extractor=bytes_only)
    assert "\n" not in str(caught.value)

    class Detached(torch.nn.Module):
        def forward(self, images):
            return images.detach().flatten(1)[:, :6]

    silent = dataclasses.replace(made, extractor=Exact("silent", 6, Detached()))
    with pytest.raises(InputError, match="extractor silent: is not differentiable"):
        silent.value_and_gradient(weights)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_differentiable_images_are_the_generators_own(tiny_run, weights, sampler):
    generator = exact_generator(tiny_run, sampler)
    generator.load(weights)
    noises = [torch.randn(5, 1, 8, 8, dtype=torch.float64) for _ in generator.noise_shapes]
    leaves = generator.flat.leaves()
    images = generator.differentiable(leaves, noises)
    assert images.dtype == torch.float64
    assert torch.equal(images.detach(), generator(noises))
    assert [leaf.data_ptr() for leaf in leaves] == [
        generator.flat.buffer[entry.offset :].data_ptr() for entry in generator.flat.entries
    ]


class Tied(torch.nn.Module):
    """One weight used twice, under two names."""

    def __init__(self, tied):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
        if tied:
            self.second.weight = self.first.weight

    def forward(self, x, noise_level):
        return self.second(torch.tanh(self.first(x))) * noise_level[:, None]


@pytest.mark.parametrize("tied", [True, False])
def test_tied_tensors_gather_the_gradient_of_all_their_uses(tied):
    entry = TensorEntry("first.weight", (4, 4), "float32", 0, 16, "combined", ("second.weight",))
    flat = FlatModule(Tied(tied), [entry], {}, dtype=torch.float64)
    vector = torch.from_numpy(np.random.default_rng(0).normal(size=16))
    flat.load(vector)
    x, level = torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4), torch.ones(3, dtype=torch.float64)
    leaves = flat.leaves()
    (found,) = torch.autograd.grad(flat.call_with(leaves, x, level).square().sum(), leaves)
    leaf = vector.clone().requires_grad_()
    weight = leaf.view(4, 4)
    ((torch.tanh(x @ weight.T) @ weight.T) ** 2).sum().backward()
    torch.testing.assert_close(found.reshape(-1), leaf.grad, rtol=1e-12, atol=1e-12)
    flat.call(leaf, x, level)


def test_only_the_last_network_evaluation_keeps_its_activations(tiny_run, weights):
    """What one graph holds hardly grows with the steps."""

    def kept(steps):
        settings = {**SCORING, **SAMPLERS["euler"], "sampler": {"kind": "euler", "steps": steps}}
        bank = tiny_run.bank
        generator = build_generator(settings, bank.tensors, bank.others(), CPU)
        generator.load(weights)
        bytes_kept = 0

        def count(tensor):
            nonlocal bytes_kept
            bytes_kept += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            generator.differentiable(generator.flat.leaves(), [torch.randn(100, 1, 8, 8)])
        return bytes_kept

    two, twenty = kept(2), kept(20)
    images = 4 * 100 * 64
    assert twenty - two < 18 * 3 * images
