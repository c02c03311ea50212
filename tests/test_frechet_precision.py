"""The Fréchet distance beside clean-fid's, and both beside a computation with 50 digits.

clean-fid takes the square root of the product of both covariances, which SciPy does by a Schur decomposition. Where
there are no more images than features, the product is singular and its root is mostly rounding noise; ours is exact.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.linalg

from lcsc.metrics.frechet import Reference, feature_statistics, frechet_distance
from lcsc.metrics.frechet_gradient import frechet_value_and_gradient

DIGITS = 50


def spread_out(count: int, dimension: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Features whose variances fall over four orders of magnitude, as those of networks do; not about 0."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimension, dimension)) * np.logspace(0, -2, dimension)
    return scale * (rng.normal(size=(count, dimension)) @ mixing + 0.4)


def by_clean_fid(monkeypatch: pytest.MonkeyPatch, ours: np.ndarray, real: np.ndarray) -> float:
    """clean-fid's own function. SciPy 1.18 dropped an argument that it passes; its meaning is given back here."""
    from cleanfid import fid

    original = scipy.linalg.sqrtm
    monkeypatch.setattr(fid.linalg, "sqrtm", lambda matrix, disp=True: (original(matrix), 0.0))
    return float(fid.frechet_distance(ours.mean(0), np.cov(ours.T), real.mean(0), np.cov(real.T)))


def exactly(ours: np.ndarray, real: np.ndarray) -> float:
    """The distance with 50 digits: the root's trace by the eigenvalues of Gram matrices of the features."""
    with mpmath.workdps(DIGITS):
        sides = [centred(values) for values in (ours, real)]
        (mean, x), (mean_r, y) = sides
        # tr (S S_r)^(1/2) is the sum of the singular values of X Y^T, X and Y the centred features over root N - 1.
        cross = x * y.T
        gram = cross * cross.T if cross.rows <= cross.cols else cross.T * cross
        roots = mpmath.eigsy(gram, eigvals_only=True)
        rank = min(ours.shape[0] - 1, real.shape[0] - 1, ours.shape[1])
        largest = sorted((mpmath.re(value) for value in roots), reverse=True)[:rank]
        total = sum(mpmath.sqrt(max(value, 0)) for value in largest)
        squares = [sum(value**2 for value in matrix) for matrix in (x, y)]
        shift = sum((a - b) ** 2 for a, b in zip(mean, mean_r, strict=True))
        return float(shift + squares[0] + squares[1] - 2 * total)


def centred(values: np.ndarray) -> tuple[list[mpmath.mpf], mpmath.matrix]:
    rows = mpmath.matrix(values.tolist())
    mean = [sum(rows[i, j] for i in range(rows.rows)) / rows.rows for j in range(rows.cols)]
    scale = mpmath.sqrt(rows.rows - 1)
    return mean, mpmath.matrix([[(rows[i, j] - mean[j]) / scale for j in range(rows.cols)] for i in range(rows.rows)])


@pytest.mark.parametrize(("count", "real"), [(40, 30), (13, 30), (12, 30), (6, 30), (2, 30), (6, 8)])
def test_ours_is_exact_for_many_and_for_few_images(count, real):
    """To 1e-10, D = 12: more images than features, as many, fewer, and a singular reference, too."""
    ours, images = spread_out(count, 12, 0, 1.3), spread_out(real, 12, 1)
    reference = Reference.of(feature_statistics(images))
    expected = exactly(ours, images)
    assert frechet_distance(ours, reference) == pytest.approx(expected, rel=1e-10)
    assert frechet_value_and_gradient(ours, reference)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("count", "dimension"), [(400, 24), (300, 128), (200, 150)])
def test_equals_clean_fids_for_more_images_than_features(monkeypatch, count, dimension):
    ours, real = spread_out(count, dimension, 2, 1.2), spread_out(4 * dimension, dimension, 3)
    expected = by_clean_fid(monkeypatch, ours, real)
    assert frechet_distance(ours, Reference.of(feature_statistics(real))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "dimension"), [(128, 128), (60, 128), (10, 64)])
def test_equals_clean_fids_up_to_its_noise_for_fewer_images(monkeypatch, count, dimension):
    ours, real = spread_out(count, dimension, 4, 1.2), spread_out(4 * dimension, dimension, 5)
    expected = by_clean_fid(monkeypatch, ours, real)
    assert frechet_distance(ours, Reference.of(feature_statistics(real))) == pytest.approx(expected, rel=1e-5)


def test_where_they_differ_ours_is_right(monkeypatch):
    ours, real = spread_out(6, 12, 6, 1.2), spread_out(40, 12, 7)
    exact, theirs = exactly(ours, real), by_clean_fid(monkeypatch, ours, real)
    found = frechet_distance(ours, Reference.of(feature_statistics(real)))
    assert abs(found / exact - 1) < 1e-13
    assert 1e-12 < abs(theirs / exact - 1) < 1e-5


def test_float32_features_have_the_distance_of_their_values():
    ours, real = spread_out(40, 12, 8).astype(np.float32), spread_out(40, 12, 9)
    reference = Reference.of(feature_statistics(real))
    assert frechet_distance(ours, reference) == frechet_distance(ours.astype(np.float64), reference)
    assert math.isfinite(frechet_distance(ours, reference))


@pytest.mark.parametrize("count", [40, 620])
def test_large_triangular_factors_are_multiplied_in_strips(monkeypatch, count):
    from lcsc.metrics import frechet

    ours, real = spread_out(count, 600, 10), spread_out(1300, 600, 11)
    statistics = feature_statistics(real)
    in_strips = Reference.of(statistics)
    assert in_strips._strips == 50
    monkeypatch.setattr(frechet, "LARGE", 601)
    whole = Reference.of(statistics)
    assert whole._strips == 600
    np.testing.assert_allclose(in_strips.times_factor(ours), whole.times_factor(ours), rtol=1e-12, atol=1e-12)
    inner, expected = (np.tril(reference.inner(statistics.covariance)) for reference in (in_strips, whole))
    np.testing.assert_allclose(inner, expected, atol=1e-10)
    assert frechet_distance(ours, in_strips) == pytest.approx(frechet_distance(ours, whole), rel=1e-11)
    (value, slope), (plain, expected) = (frechet_value_and_gradient(ours, r) for r in (in_strips, whole))
    assert value == pytest.approx(plain, rel=1e-11)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-9)


def test_large_singular_references_have_no_triangle():
    real = spread_out(300, 600, 12)
    reference = Reference.of(feature_statistics(real))
    assert reference.factor.shape == (600, 299)
    assert np.array_equal(reference.times_factor(real), real @ reference.factor)
