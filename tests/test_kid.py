"""The kernel distance against the definition, analytic truths and an independent implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel

from lcsc.metrics import kid
from lcsc.metrics.kid import kernel_distance, unbiased_mmd

SEED = np.random.SeedSequence(0)


def normal(count, dimension, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, dimension)) + shift


def by_definition(first, second):
    """Three sums over scikit-learn's kernel matrices, diagonals left out."""
    within = []
    for side in (first, second):
        matrix = polynomial_kernel(side, degree=3, gamma=1 / side.shape[1], coef0=1)
        np.fill_diagonal(matrix, 0)
        within.append(matrix.sum() / (len(side) * (len(side) - 1)))
    return sum(within) - 2 * polynomial_kernel(first, second, degree=3, gamma=1 / first.shape[1], coef0=1).mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(2, 40), st.integers(1, 8))
def test_is_the_definition_and_symmetric(seed, count, others, dimension):
    first, second = normal(count, dimension, seed), normal(others, dimension, seed + 1, 0.5)
    found = unbiased_mmd(first, second)
    assert found == pytest.approx(by_definition(first, second), rel=1e-9, abs=1e-9)
    assert found == pytest.approx(unbiased_mmd(second, first), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("rows", [1, 7, 500])
def test_blocks_of_rows_change_nothing(monkeypatch, rows):
    first, second = normal(100, 5), normal(90, 5, 1)
    expected = unbiased_mmd(first, second)
    monkeypatch.setattr(kid, "ROWS", rows)
    assert unbiased_mmd(first, second) == pytest.approx(expected, rel=1e-10)


def test_two_points_by_hand():
    """In one dimension: k(0, 0) = 1, k(0, 1) = 1, k(1, 1) = 8; the pairs within are (0, 1) and (0, 0)."""
    first, second = np.array([[0.0], [1.0]]), np.array([[0.0], [0.0]])
    assert unbiased_mmd(first, second) == pytest.approx(1 + 1 - 2 * 1)
    assert unbiased_mmd(np.array([[1.0], [1.0]]), second) == pytest.approx(8 + 1 - 2 * 1)


def test_is_unbiased_at_any_number_of_images():
    """The mean over draws is E k(x, x') + E k(y, y') - 2 E k(x, y), where the biased estimate is far off.

    For x ~ N(0, 1), y ~ N(1, 1): E (x x' + 1)^3 = 1 + 3 E(xx') + 3 E(xx')^2 + E(xx')^3 = 4, and so on.
    """
    moments = {0: (0, 1, 0), 1: (1, 2, 4)}  # E x, E x^2, E x^3 of N(0, 1) and N(1, 1)

    def mean_kernel(one, two):
        a, b = moments[one], moments[two]
        return 1 + 3 * a[0] * b[0] + 3 * a[1] * b[1] + a[2] * b[2]

    expected = mean_kernel(0, 0) + mean_kernel(1, 1) - 2 * mean_kernel(0, 1)
    draws = [unbiased_mmd(normal(8, 1, seed), normal(8, 1, 10_000 + seed, 1.0)) for seed in range(4000)]
    error = np.std(draws) / np.sqrt(len(draws))
    assert np.mean(draws) == pytest.approx(expected, abs=4 * error)
    assert error < expected / 20


def test_subsets_are_those_of_the_seed_and_of_nothing_else():
    first, second = normal(300, 4), normal(120, 4, 1)
    found = kernel_distance(first, second, SEED, subsets=4, size=50)
    np.random.seed(1)  # noqa: NPY002 - the global state must not matter
    SEED.spawn(2)
    assert kernel_distance(first, second, SEED, subsets=4, size=50) == found
    assert kernel_distance(first, second, np.random.SeedSequence(1), subsets=4, size=50) != found
    assert (found.subsets, found.size) == (4, 50)
    assert found.spread > 0


def test_one_subset_of_everything_is_the_plain_estimate():
    first, second = normal(60, 4), normal(60, 4, 1)
    found = kernel_distance(first, second, SEED, subsets=1, size=1000)
    assert found.mean == pytest.approx(unbiased_mmd(first, second), rel=1e-9)
    assert (found.spread, found.size) == (0.0, 60)


def test_every_feature_is_used_before_one_is_used_again():
    first = np.arange(100.0)[:, None]
    places = kid._subsets(100, 25, SEED)
    for _ in range(2):
        assert sorted(np.concatenate([first[next(places), 0] for _ in range(4)])) == list(range(100))


@pytest.mark.parametrize(
    ("shapes", "subsets", "words"),
    [
        (((5, 3), (5, 4)), 2, r"shapes \(5, 3\) and \(5, 4\)"),
        (((1, 3), (5, 3)), 2, "N >= 2"),
        (((5,), (5, 3)), 2, "expected"),
        (((5, 3), (5, 3)), 0, "found 0 subsets of 5 features"),
    ],
)
def test_what_has_no_distance_is_refused(shapes, subsets, words):
    with pytest.raises(ValueError, match=words):
        kernel_distance(*(np.zeros(shape) for shape in shapes), SEED, subsets=subsets)
