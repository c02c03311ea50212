"""The Fréchet distance against analytic truths and independent implementations."""

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.metrics.frechet import (
    Reference,
    Statistics,
    covariance_factor,
    feature_statistics,
    frechet_distance,
    statistics_distance,
)


def features(count, dimension, seed=0, scale=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimension, dimension)) / math.sqrt(dimension)
    return rng.normal(size=(count, dimension)) @ mixing * scale + shift


def by_sqrtm(first, second):
    """The textbook formula with SciPy's matrix square root."""
    mean, covariance = first.mean(0), np.cov(first, rowvar=False)
    mean_r, covariance_r = second.mean(0), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(covariance @ covariance_r)
    return ((mean - mean_r) ** 2).sum() + np.trace(covariance + covariance_r - 2 * root.real)


def test_equal_features_are_at_distance_zero():
    values = features(500, 16)
    assert frechet_distance(values, Reference.of(feature_statistics(values))) == pytest.approx(0, abs=1e-10)


def test_a_shift_costs_its_squared_length():
    values = features(500, 8)
    shift = np.arange(8.0)
    reference = Reference.of(feature_statistics(values))
    assert frechet_distance(values + shift, reference) == pytest.approx((shift**2).sum(), rel=1e-10)


def test_a_scale_costs_the_trace_times_its_square():
    values = features(500, 8)
    values -= values.mean(0)
    reference = Reference.of(feature_statistics(values))
    trace = np.trace(np.cov(values, rowvar=False))
    assert frechet_distance(3 * values, reference) == pytest.approx(4 * trace, rel=1e-10)


@pytest.mark.parametrize(("count", "dimension"), [(400, 24), (60, 50)])
def test_matches_scipys_square_root(count, dimension):
    ours, real = features(count, dimension, 1), features(600, dimension, 2, 1.5, 0.3)
    assert frechet_distance(ours, Reference.of(feature_statistics(real))) == pytest.approx(
        by_sqrtm(ours, real), rel=1e-9
    )


def test_fewer_features_than_dimensions_is_exact():
    """The Gram route equals a computation in exact-enough arithmetic: singular values of the small matrix."""
    ours, real = features(20, 64, 5), features(500, 64, 6)
    reference = Reference.of(feature_statistics(real))
    centred = (ours - ours.mean(0)) / math.sqrt(19)
    nuclear = np.linalg.svd(centred @ reference.factor, compute_uv=False)[:19].sum()
    shift = ((ours.mean(0) - real.mean(0)) ** 2).sum()
    expected = shift + (centred**2).sum() + np.trace(np.cov(real.T)) - 2 * nuclear
    assert frechet_distance(ours, reference) == pytest.approx(expected, rel=1e-12)


def test_singular_references_have_a_factor():
    real = features(20, 64, 6)
    covariance = np.cov(real.T)
    factor = covariance_factor(covariance)
    assert factor.shape == (64, 19)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-12)


def test_both_routes_agree_where_both_hold():
    ours, real = features(65, 64, 7), features(500, 64, 8)
    reference = Reference.of(feature_statistics(real))
    assert statistics_distance(feature_statistics(ours), reference) == pytest.approx(
        frechet_distance(ours, reference), rel=1e-10
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 12))
def test_is_symmetric_and_not_negative(seed, count, dimension):
    first, second = features(count, dimension, seed), features(50, dimension, seed + 1, 0.7)
    there = frechet_distance(first, Reference.of(feature_statistics(second)))
    back = frechet_distance(second, Reference.of(feature_statistics(first)))
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-6, abs=1e-9)


def test_features_that_are_not_finite_have_no_distance():
    values = features(50, 4)
    reference = Reference.of(feature_statistics(values))
    values[3, 2] = np.nan
    assert math.isnan(frechet_distance(values, reference))


def test_another_dimension_is_refused():
    reference = Reference.of(feature_statistics(features(50, 4)))
    with pytest.raises(ValueError, match=r"shape \(50, 5\), expected \[N >= 2, 4\]"):
        frechet_distance(features(50, 5), reference)


def test_statistics_are_unbiased():
    values = features(50, 4)
    statistics = feature_statistics(values)
    assert isinstance(statistics, Statistics)
    assert statistics.count == 50
    np.testing.assert_allclose(statistics.covariance, np.cov(values.T), rtol=1e-12)
