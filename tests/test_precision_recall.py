"""Precision, recall, density and coverage against plain loops, scikit-learn and analytic truths."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from lcsc.metrics import precision_recall
from lcsc.metrics.precision_recall import Support, balls, compare_supports, squared_distances


def normal(count, dimension=3, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, dimension)) * scale + shift


def support(real, generated, neighbours=5):
    return compare_supports(balls(real, neighbours), balls(generated, neighbours))


def radius(points, place, neighbours):
    others = sorted(float(np.linalg.norm(points[place] - point)) for j, point in enumerate(points) if j != place)
    return others[neighbours - 1]


def by_loops(real, generated, neighbours):
    """The definitions word by word, one pair of points at a time."""
    real_radii = [radius(real, i, neighbours) for i in range(len(real))]
    radii = [radius(generated, j, neighbours) for j in range(len(generated))]
    distance = [[float(np.linalg.norm(g - r)) for r in real] for g in generated]
    within = [[distance[j][i] <= real_radii[i] for i in range(len(real))] for j in range(len(generated))]
    return Support(
        precision=float(np.mean([any(row) for row in within])),
        recall=float(np.mean([any(distance[j][i] <= radii[j] for j in range(len(radii))) for i in range(len(real))])),
        density=sum(map(sum, within)) / (neighbours * len(generated)),
        coverage=float(np.mean([any(row[i] for row in within) for i in range(len(real))])),
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(6, 25), st.integers(6, 25), st.integers(1, 5), st.floats(0.3, 2), st.floats(0, 2)
)
def test_is_what_the_definitions_say(seed, count, others, neighbours, scale, shift):
    real, generated = normal(count, 3, seed), normal(others, 3, seed + 1, scale, shift)
    found = support(real, generated, neighbours)
    assert found == by_loops(real, generated, neighbours)
    assert min(found.precision, found.recall, found.density, found.coverage) >= 0
    assert max(found.precision, found.recall, found.coverage) <= 1
    assert found.coverage <= found.density * neighbours * others / count + 1e-9  # a covered one needs a pair


def test_radii_are_those_of_scikit_learn():
    points = normal(700, 6)
    distances, _ = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(points)
    np.testing.assert_allclose(np.sqrt(balls(points, 5).squares), distances[:, 5], rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_blocks_of_rows_change_nothing(monkeypatch, rows):
    real, generated = normal(120, 4), normal(130, 4, 1, 1.2)
    expected = support(real, generated)
    monkeypatch.setattr(precision_recall, "ROWS", rows)
    assert support(real, generated) == expected


def test_memory_is_that_of_a_block_of_rows():
    points = normal(3000)
    tracemalloc.start()
    compare_supports(balls(points), balls(points + 0.1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 3000**2 / 2


def test_equal_sets():
    points = normal(300)
    found = support(points, points)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert 1 <= found.density <= 1 + 1 / 5 + 1e-9  # itself and its k neighbours, up to rounding at the balls' edges


def test_sets_far_apart():
    assert support(normal(100), normal(100, seed=1, shift=100.0)) == Support(0, 0, 0, 0)


def test_equal_distributions_have_density_one():
    draws = [support(normal(400, 2, seed), normal(400, 2, seed + 100)) for seed in range(5)]
    assert np.mean([found.density for found in draws]) == pytest.approx(1, abs=0.03)
    assert np.mean([found.coverage for found in draws]) == pytest.approx(1 - 2.0**-5, abs=0.02)  # Naeem et al., sect. 3


def test_a_lost_mode_costs_recall_and_coverage_but_not_precision():
    real = np.concatenate([normal(200, seed=1), normal(200, seed=2, shift=50.0)])
    found = support(real, normal(400, seed=3))
    assert found.precision > 0.9
    assert found.recall < 0.52
    assert found.coverage < 0.52


def test_images_of_another_mode_cost_precision_and_density_but_not_recall():
    generated = np.concatenate([normal(200, seed=1), normal(200, seed=2, shift=50.0)])
    found = support(normal(200, seed=3), generated)
    assert 0.4 < found.precision < 0.51
    assert found.density < 0.6
    assert found.recall > 0.9


def test_one_image_again_and_again_reaches_nothing():
    real = normal(200)
    found = support(real, np.repeat(real[:1] + 1e-3, 200, axis=0))
    assert found.precision == 1
    assert found.recall == 0
    assert found.coverage < 0.1


def test_a_lonely_outlier_makes_precision_but_little_density():
    real = np.concatenate([normal(100, seed=1), [[60.0, 0.0, 0.0]]])
    found = support(real, normal(100, seed=2, scale=0.1, shift=np.array([10.0, 0.0, 0.0])))
    assert found.precision == 1
    assert found.density == pytest.approx(1 / 5)


def test_squared_distances_are_not_negative():
    points = normal(50, 8, shift=1e4)
    found = squared_distances(points, points)
    assert (found >= 0).all()
    assert np.diag(found).max() < 1e-4


@pytest.mark.parametrize(("count", "neighbours"), [(5, 5), (3, 0)], ids=["more neighbours than others", "no neighbour"])
def test_too_few_features_are_refused(count, neighbours):
    with pytest.raises(ValueError, match=f"expected .N, D. with N > neighbours = {neighbours}"):
        balls(normal(count), neighbours)


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one dimension"):
        compare_supports(balls(normal(10, 3)), balls(normal(10, 4)))
    with pytest.raises(ValueError, match="one number of neighbours"):
        compare_supports(balls(normal(10), 2), balls(normal(10), 3))
