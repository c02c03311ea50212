"""The gradient of the Fréchet distance in the features."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exact import nuclear_distance, reference_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.metrics.frechet import Reference, Statistics, feature_statistics, frechet_distance
from lcsc.metrics.frechet_gradient import frechet_value_and_gradient

# Features, dimensions and images of the reference: more and fewer than dimensions, and singular references.
SIZES = [
    (40, 6, 60),
    (9, 6, 60),
    (6, 6, 60),
    (5, 12, 60),
    (2, 4, 60),
    (40, 6, 4),
    (5, 12, 4),
    (4, 12, 9),
    (99, 30, 20),
]


def features(count, dimension, seed=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dimension)) @ rng.normal(size=(dimension, dimension)) - 0.5


@pytest.mark.parametrize(("count", "dimension", "real"), SIZES)
def test_the_value_is_the_distance(count, dimension, real):
    values, reference = features(count, dimension), reference_of(dimension, real)
    found, gradient = frechet_value_and_gradient(values, reference)
    assert found == pytest.approx(frechet_distance(values, reference), rel=1e-12)
    assert (gradient.shape, gradient.dtype) == (values.shape, np.float64)


@pytest.mark.parametrize(("count", "dimension", "real"), SIZES)
def test_matches_central_differences(count, dimension, real):
    values, reference = features(count, dimension), reference_of(dimension, real)
    _, gradient = frechet_value_and_gradient(values, reference)
    rng = np.random.default_rng(1)
    for _ in range(3):
        direction = rng.normal(size=values.shape)
        ahead, behind = (frechet_distance(values + step * direction, reference) for step in (1e-5, -1e-5))
        assert np.vdot(gradient, direction) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)


@pytest.mark.parametrize(("count", "dimension", "real"), SIZES)
def test_matches_automatic_differentiation_of_the_singular_values(count, dimension, real):
    values, reference = features(count, dimension), reference_of(dimension, real)
    leaf = torch.from_numpy(values).requires_grad_()
    nuclear_distance(leaf, reference).backward()
    _, gradient = frechet_value_and_gradient(values, reference)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=0, atol=1e-8 * np.abs(gradient).max())


def test_both_routes_agree_where_both_hold(monkeypatch):
    values, reference = features(12, 12), reference_of(12)
    few = frechet_value_and_gradient(values[:11], reference)[1]
    wide = Reference.of(Statistics(np.zeros(11), np.eye(11), 2))
    many = frechet_value_and_gradient(values[:, :11], wide)[1]
    from lcsc.metrics import frechet_gradient

    monkeypatch.setattr(frechet_gradient, "_few", frechet_gradient._many)
    np.testing.assert_allclose(frechet_value_and_gradient(values[:11], reference)[1], few, atol=1e-6)
    monkeypatch.undo()
    monkeypatch.setattr(frechet_gradient, "_many", frechet_gradient._few)
    np.testing.assert_allclose(frechet_value_and_gradient(values[:, :11], wide)[1], many, atol=1e-10)


def test_the_gradient_vanishes_at_the_reference_itself():
    values = features(80, 8)
    value, gradient = frechet_value_and_gradient(values, Reference.of(feature_statistics(values)))
    assert value == pytest.approx(0, abs=1e-10)
    assert np.abs(gradient).max() < 1e-10


@pytest.mark.parametrize("count", [50, 5])
def test_a_shift_is_pulled_back_and_a_spread_drawn_in(count):
    values = features(count, 8)
    values -= values.mean(0)
    reference = Reference.of(feature_statistics(values))
    _, gradient = frechet_value_and_gradient(values + np.arange(8.0), reference)
    np.testing.assert_allclose(gradient.sum(0), 2 * np.arange(8.0), atol=1e-8)
    # d(c f) = (c - 1)^2 tr S, whose derivative in c is <gradient, f>.
    _, gradient = frechet_value_and_gradient(3 * values, reference)
    assert np.vdot(gradient, values) == pytest.approx(4 * np.trace(reference.statistics.covariance), rel=1e-9)


@pytest.mark.parametrize("count", [50, 5])
def test_features_without_spread_in_a_direction_keep_a_finite_gradient(count):
    values, reference = features(count, 8), reference_of(8)
    values[:, 3] = 0.25
    values[:, 4] = values[:, 5]
    value, gradient = frechet_value_and_gradient(values, reference)
    assert value == pytest.approx(frechet_distance(values, reference), rel=1e-12)
    direction = np.random.default_rng(0).normal(size=values.shape)
    direction[:, 3], direction[:, 4] = 1.0, direction[:, 5]
    # By singular values, since eigenvalues of a covariance that is singular leave a noise of 1e-8.
    moved = (torch.from_numpy(values + step * direction) for step in (1e-4, -1e-4))
    ahead, behind = (float(nuclear_distance(features, reference)) for features in moved)
    assert np.vdot(gradient, direction) == pytest.approx((ahead - behind) / 2e-4, rel=1e-6)


def test_a_reference_without_spread_leaves_mean_and_trace():
    values = features(30, 4)
    reference = Reference.of(Statistics(np.ones(4), np.zeros((4, 4)), 5))
    value, gradient = frechet_value_and_gradient(values, reference)
    statistics = feature_statistics(values)
    assert value == pytest.approx(((statistics.mean - 1) ** 2).sum() + np.trace(statistics.covariance), rel=1e-12)
    expected = 2 * (statistics.mean - 1) / 30 + 2 / 29 * (values - statistics.mean)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    few = frechet_value_and_gradient(values[:3], reference)[1]
    mean = values[:3].mean(0)
    np.testing.assert_allclose(few, 2 * (mean - 1) / 3 + values[:3] - mean, rtol=1e-12)


def test_features_that_are_not_finite_have_neither():
    values = features(50, 4)
    values[3, 2] = np.inf
    value, gradient = frechet_value_and_gradient(values, reference_of(4))
    assert math.isnan(value)
    assert np.isnan(gradient).all()


def test_another_dimension_is_refused():
    with pytest.raises(ValueError, match=r"shape \(50, 5\), expected \[N >= 2, 4\]"):
        frechet_value_and_gradient(features(50, 5), reference_of(4))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 30), st.integers(1, 10))
def test_rotations_turn_the_gradient(seed, count, dimension):
    """The distance does not change when features and reference turn together."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    real = rng.normal(size=(40, dimension)) * 2
    values = features(count, dimension, seed)
    there = frechet_value_and_gradient(values, Reference.of(feature_statistics(real)))[1]
    turned = frechet_value_and_gradient(values @ turn, Reference.of(feature_statistics(real @ turn)))[1]
    np.testing.assert_allclose(turned, there @ turn, rtol=0, atol=1e-7 * np.abs(there).max())
