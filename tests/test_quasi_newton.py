"""Directions from pairs, against the matrices that they stand for."""

import numpy as np
import pytest

from lcsc.search.domain import Rows
from lcsc.search.quasi_newton import Hessian, bounded_step, curved, newton_step

RNG = np.random.default_rng(0)
ROOT = RNG.normal(size=(12, 12))
TRUE = ROOT @ ROOT.T + np.eye(12)
PAIRS = [(step, TRUE @ step) for step in RNG.normal(size=(5, 12))]


def updated():
    """B by the textbook's update of whole matrices."""
    step, change = PAIRS[-1]
    matrix = np.eye(12) * (change @ change) / (step @ change)
    for step, change in PAIRS:
        image = matrix @ step
        matrix = matrix - np.outer(image, image) / (step @ image) + np.outer(change, change) / (step @ change)
    return matrix


def test_the_hessian_is_that_of_the_bfgs_update():
    matrix, vector = updated(), RNG.normal(size=12)
    np.testing.assert_allclose(Hessian(PAIRS).times(vector), matrix @ vector, rtol=1e-9)
    np.testing.assert_allclose(Hessian(PAIRS).times(PAIRS[-1][0]), PAIRS[-1][1], rtol=1e-9)


def test_the_two_loops_are_its_inverse():
    gradient = RNG.normal(size=12)
    np.testing.assert_allclose(newton_step(gradient, PAIRS), -np.linalg.solve(updated(), gradient), rtol=1e-8)


@pytest.mark.parametrize("bound", [0.3, 0.6, 50.0])
def test_the_bounded_step_ends_near_the_models_minimum_inside(bound):
    domain, matrix = Rows(2, 6, bound), updated()
    point = domain.project(np.full(12, 1 / 6))
    gradient = domain.tangent(10 * RNG.normal(size=12))
    step = bounded_step(point, gradient, PAIRS, domain, newton_step(gradient, PAIRS))
    end = point + step
    assert np.abs(end).max() <= bound + 1e-12
    np.testing.assert_allclose(end.reshape(2, 6).sum(1), 1, atol=1e-12)
    assert gradient @ step < 0
    exact = point
    largest = np.linalg.eigvalsh(matrix)[-1]
    for _ in range(3000):
        exact = domain.project(exact - (gradient + matrix @ (exact - point)) / largest)
    model = [gradient @ d + 0.5 * d @ matrix @ d for d in (step, exact - point)]
    assert model[0] <= model[1] + 1e-3 * abs(model[1])


def test_pairs_without_curvature_are_known():
    assert curved(np.ones(3), np.ones(3))
    assert not curved(np.ones(2), np.array([1.0, -1.0]))
    assert not curved(np.zeros(2), np.ones(2))
