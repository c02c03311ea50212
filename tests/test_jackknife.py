"""The jackknife: down-dated statistics are the plain ones, its spread that of independent draws."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.metrics import jackknife
from lcsc.metrics.frechet import Reference, feature_statistics, frechet_distance
from lcsc.metrics.jackknife import frechet_jackknife, statistics_without


def normal(count, dimension, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, dimension)) * scale + shift


def reference(dimension, seed=1000):
    return Reference.of(feature_statistics(normal(2000, dimension, seed)))


def without(values, blocks):
    """The features without each block, by NumPy's own cutting."""
    edges = [len(values) * block // blocks for block in range(blocks + 1)]
    return [np.concatenate([values[:a], values[b:]]) for a, b in pairwise(edges)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 9), st.integers(12, 60), st.floats(-1e3, 1e3))
def test_taking_a_block_away_gives_the_statistics_of_the_rest(seed, blocks, count, shift):
    values = normal(count, 4, seed, shift=shift)
    for found, rest in zip(statistics_without(values, blocks), without(values, blocks), strict=True):
        expected = feature_statistics(rest)
        assert found.count == expected.count
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dimension", [4, 30])
def test_is_the_formula_on_either_side_of_the_dimension(dimension):
    values, real = normal(31, dimension, 1, 1.3), reference(dimension)
    left_out = np.array([frechet_distance(rest, real) for rest in without(values, 7)])
    (found,) = frechet_jackknife(values, [real], 7)
    assert found.spread == pytest.approx(np.sqrt(6 / 7 * ((left_out - left_out.mean()) ** 2).sum()), rel=1e-7)
    assert found.bias == pytest.approx(6 * (left_out.mean() - frechet_distance(values, real)), rel=1e-7)


@pytest.mark.parametrize("scale", [1.5, 1.0], ids=["far from the reference", "like the reference"])
def test_the_spread_is_that_of_independent_draws(scale):
    """Within 15 % far away; where distributions agree the distance is quadratic and it errs upwards, by √2 at most."""
    real = reference(3)
    draws = [normal(600, 3, seed, scale) for seed in range(300)]
    empirical = np.std([frechet_distance(values, real) for values in draws], ddof=1)
    estimates = [frechet_jackknife(values, [real])[0].spread for values in draws[:60]]
    ratio = np.sqrt(np.mean(np.square(estimates))) / empirical
    assert 0.85 < ratio < (1.15 if scale > 1 else 1.6)


def test_the_bias_is_what_few_images_add():
    """The distance of a reference's own distribution is all bias: the correction takes most of it away."""
    real = Reference.of(feature_statistics(normal(200_000, 3, 5)))
    draws = [normal(400, 3, seed) for seed in range(60)]
    plain = np.mean([frechet_distance(values, real) for values in draws])
    bias = np.mean([frechet_jackknife(values, [real])[0].bias for values in draws])
    assert abs(plain - bias) < plain / 5


def test_a_bootstrap_would_be_wrong():
    """Draws with replacement are further away than independent draws of as many features: by as much as the bias."""
    real, rng = reference(8), np.random.default_rng(3)
    values = [normal(200, 8, seed) for seed in range(20)]
    plain = np.mean([frechet_distance(row, real) for row in values])
    repeated = np.mean([frechet_distance(row[rng.integers(200, size=200)], real) for row in values for _ in range(5)])
    assert repeated > 1.5 * plain


def test_several_references_take_one_pass(monkeypatch):
    values, references = normal(90, 4), [reference(4, 1), reference(4, 2)]
    passes = []
    monkeypatch.setattr(
        jackknife, "statistics_without", lambda *given: passes.append(given) or statistics_without(*given)
    )
    both = frechet_jackknife(values, references, 9)
    assert len(passes) == 1
    assert both == [frechet_jackknife(values, [real], 9)[0] for real in references]


@pytest.mark.parametrize(("count", "blocks"), [(5, 6), (5, 1), (2, 2), (3, 2), (5, 0)])
def test_too_few_features_for_the_blocks_are_refused(count, blocks):
    with pytest.raises(ValueError, match=f"found {blocks} blocks of {count} features"):
        frechet_jackknife(normal(count, 2), [reference(2)], blocks)
