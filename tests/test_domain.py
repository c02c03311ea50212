"""Projections on rows that sum to 1 with bounded coefficients, checked by what makes them the nearest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lcsc.errors import InputError
from lcsc.search.domain import Rows

ROWS = arrays(np.float64, (3, 7), elements=st.floats(-20, 20))
BOUNDS = st.sampled_from([0.2, 0.5, 1.0, 6.0])


@settings(max_examples=100, deadline=None)
@given(ROWS, ROWS, BOUNDS)
def test_the_projection_is_the_nearest_point(rows, others, bound):
    domain = Rows(3, 7, bound)
    point, other = domain.project(rows.reshape(-1)), domain.project(others.reshape(-1))
    for inside in (point, other):
        np.testing.assert_allclose(inside.reshape(3, 7).sum(1), 1, atol=1e-12)
        assert domain.contains(inside)
    # the nearest point of a convex set: the way to any other of its points leads no nearer
    assert (rows.reshape(-1) - point) @ (other - point) <= 1e-9


@settings(max_examples=100, deadline=None)
@given(ROWS, ROWS, BOUNDS)
def test_the_reach_is_the_last_step_inside(rows, others, bound):
    domain = Rows(3, 7, bound)
    point = domain.project(rows.reshape(-1))
    direction = domain.tangent(others.reshape(-1))
    reach = domain.reach(point, direction)
    if not direction.any():
        assert reach == np.inf
        return
    assert np.abs(point + reach * direction).max() <= bound + 1e-9
    assert np.abs(point + (1.001 * reach + 1e-6) * direction).max() > bound - 1e-3
    np.testing.assert_allclose(direction.reshape(3, 7).sum(1), 0, atol=1e-12)


def test_without_a_bound_only_sums_are_kept():
    domain = Rows(2, 3)
    np.testing.assert_allclose(domain.project(np.array([9.0, 0, 0, 1, 2, 4])), [19 / 3, -8 / 3, -8 / 3, -1, 0, 2])
    np.testing.assert_allclose(domain.tangent(np.arange(6.0)), [-1, 0, 1, -1, 0, 1])
    assert domain.contains(np.full(6, 1e9))
    assert domain.reach(np.zeros(6), np.ones(6)) == np.inf


def test_rows_inside_the_bound_are_left_alone_beside_one_that_is_not():
    one = np.array([[0.25, 0.25, 0.25, 0.25], [3.0, -1.0, -1.0, 0.0]])
    projected = Rows(2, 4, 1.0).project(one.reshape(-1)).reshape(2, 4)
    assert np.array_equal(projected[0], one[0])
    np.testing.assert_allclose(projected[1], [1.0, -1 / 3, -1 / 3, 2 / 3])


@pytest.mark.parametrize("bound", [0.25, 0.1, -1.0, float("nan"), float("inf")])
def test_a_bound_that_leaves_nothing_is_refused(bound):
    with pytest.raises(InputError, match=r"bound .* leaves no coefficients, 4 of them cannot sum to 1"):
        Rows(1, 4, bound)
