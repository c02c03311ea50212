"""What an optimiser moves, and the Gram matrices that its axes come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import make_bank

from lcsc.bank.gram import centred_gram
from lcsc.errors import InputError
from lcsc.groups import make_groups
from lcsc.search.coordinates import OwnCoordinates, PrincipalCoordinates, principal_axes
from lcsc.search.domain import Rows


def gram_of(groups, count, seed=0, width=7):
    rng = np.random.default_rng(seed)
    differences = rng.normal(size=(groups, count, width)) * 10.0 ** rng.uniform(-3, 3, size=(groups, 1, width))
    differences -= differences.mean(axis=1, keepdims=True)
    return differences @ differences.transpose(0, 2, 1)


@pytest.mark.parametrize("kind", ["all", "tensor", "tensor/2", "block"])
@pytest.mark.parametrize("resident", [True, False])
def test_the_gram_matrix_is_that_of_the_centred_checkpoints(tmp_path, kind, resident):
    bank = make_bank(tmp_path, count=5)
    groups = make_groups(bank.tensors, kind)
    weights = np.stack([bank.checkpoint(k) for k in range(bank.K)]).astype(np.float64)
    centred = weights - weights.mean(axis=0)
    found = centred_gram(bank.resident() if resident else bank, groups)
    for start, stop, row in groups.runs:
        np.testing.assert_allclose(found[row], centred[:, start:stop] @ centred[:, start:stop].T, atol=1e-10)


@given(st.integers(2, 9), st.integers(1, 12), st.integers(0, 99))
def test_axes_are_orthonormal_rows_that_sum_to_0_as_many_as_move_the_weights(count, width, seed):
    (gram,) = gram_of(1, count, seed, width)
    axes = principal_axes(gram)
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-6)
    np.testing.assert_allclose(axes.sum(axis=0), 0, atol=1e-12)
    assert axes.shape[1] <= min(count - 1, width)
    lost = gram - axes @ axes.T @ gram
    assert np.abs(lost).max() <= 1e-5 * np.abs(gram).max()


def test_points_stand_for_rows_that_sum_to_1_and_slopes_are_derivatives():
    start = np.full((2, 5), 0.2)
    coordinates = PrincipalCoordinates(start, gram_of(2, 5))
    np.testing.assert_array_equal(coordinates.rows(coordinates.start), start)
    rng = np.random.default_rng(1)
    gradient, point = rng.normal(size=(2, 5)), rng.normal(size=coordinates.start.size)
    np.testing.assert_allclose(coordinates.rows(point).sum(axis=1), 1, rtol=1e-12)
    change = np.sum(gradient * (coordinates.rows(point) - start))
    assert coordinates.slope(gradient) @ point == pytest.approx(change)


def test_axes_do_not_depend_on_the_sign_that_a_library_gives_them():
    (gram,) = gram_of(1, 6)
    axes = principal_axes(gram)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    assert (largest > 0).all()


def test_checkpoints_that_are_all_alike_leave_nothing_to_move():
    assert principal_axes(np.zeros((4, 4))).shape == (4, 0)


def test_own_coordinates_are_the_rows():
    domain = Rows(2, 3)
    coordinates = OwnCoordinates(np.full((2, 3), 1 / 3), domain)
    assert coordinates.domain is domain
    np.testing.assert_array_equal(coordinates.slope(np.array([[1.0, 2, 3], [4, 4, 4]])), [-1, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("gram", [None, np.zeros((1, 4, 4))])
def test_gram_matrices_must_be_there_and_fit(gram):
    with pytest.raises(InputError, match="axes principal: found"):
        PrincipalCoordinates(np.full((2, 4), 0.25), gram)
