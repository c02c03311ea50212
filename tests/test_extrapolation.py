"""The Fréchet distance extrapolated to infinitely many images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.metrics.extrapolation import extrapolate
from lcsc.metrics.frechet import Reference, Statistics, frechet_distance

STANDARD = Reference.of(Statistics(np.zeros(8), np.eye(8), 0))


def test_the_limit_is_nearer_to_the_truth_than_the_distance_of_all_images():
    """Features of N(1, 4 I) against N(0, I): the true distance is D + D (2 - 1)^2 = 16."""
    rng = np.random.default_rng(0)
    whole, limit = [], []
    for _ in range(60):
        features = 1 + 2 * rng.normal(size=(120, 8))
        whole.append(frechet_distance(features, STANDARD))
        limit.append(extrapolate(features, STANDARD, whole[-1]).limit)
    error = np.std(limit, ddof=1) / np.sqrt(60)
    assert np.mean(whole) - 16 > 0.5
    assert abs(np.mean(limit) - 16) < 3 * error + 0.05


@given(st.integers(4, 40), st.integers(0, 99))
def test_the_limit_is_on_the_line_through_both_distances(count, seed):
    features = np.random.default_rng(seed).normal(size=(count, 8))
    whole = frechet_distance(features, STANDARD)
    found = extrapolate(features, STANDARD, whole)
    half = count // 2
    assert found.images == half
    halves = [frechet_distance(features[start : start + half], STANDARD) for start in (0, half)]
    assert found.half == pytest.approx(np.mean(halves))
    slope = (found.half - whole) / (1 / half - 1 / count)
    assert found.limit == pytest.approx(whole - slope / count, rel=1e-9, abs=1e-9)


def test_too_few_images_have_no_halves():
    with pytest.raises(ValueError, match="found 3, expected 4 or more"):
        extrapolate(np.zeros((3, 8)), STANDARD, 1.0)
