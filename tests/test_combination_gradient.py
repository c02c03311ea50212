"""The gradient in the coefficients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import make_bank

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient, projected
from lcsc.bank.memory import TILE
from lcsc.errors import InputError
from lcsc.groups import make_groups

KINDS = ["all", "tensor", "block", ["a", "c"], ["a.1", "b.1"]]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Tensors that begin and end within, at and across tiles and blocks."""
    shapes = {"a.0.w": (TILE - 1,), "a.1.w": (3,), "b.0.w": (65_536 - 5,), "b.1.w": (2 * TILE,), "c": ()}
    return make_bank(tmp_path_factory.mktemp("wide"), 6, shapes)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("plain"), 5).resident()


def slopes_of(bank: Bank, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(bank.P)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_is_the_inner_product_of_each_groups_columns(wide: Bank, kind: str) -> None:
    groups, slopes = make_groups(wide.tensors, kind), slopes_of(wide)
    expected = np.zeros((groups.G, wide.K))
    for start, stop, row in groups.runs:
        part = slice(start, stop)
        for k in range(wide.K):
            expected[row, k] += slopes[part] @ wide.checkpoint(k)[part].astype(np.float64)
    found = coefficient_gradient(wide, slopes, groups)
    assert (found.shape, found.dtype) == ((groups.G, wide.K), np.float64)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-10)
    assert coefficient_gradient(wide.resident(), slopes, groups).tobytes() == found.tobytes()


def test_without_groups_there_is_one_row(wide: Bank) -> None:
    slopes = slopes_of(wide)
    found = coefficient_gradient(wide, slopes)
    assert found.tobytes() == coefficient_gradient(wide, slopes, make_groups(wide.tensors, "all")).tobytes()
    by_tensor = coefficient_gradient(wide, slopes, make_groups(wide.tensors, "tensor"))
    np.testing.assert_allclose(by_tensor.sum(0, keepdims=True), found, rtol=1e-11)


def test_against_exact_fractions(plain: Bank) -> None:
    slopes = slopes_of(plain)
    exact = [
        float(sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(slopes, plain.checkpoint(k), strict=True)))
        for k in range(plain.K)
    ]
    np.testing.assert_allclose(coefficient_gradient(plain, slopes)[0], exact, rtol=1e-12)


def test_checkpoints_that_hardly_differ_keep_the_digits_of_their_difference(tmp_path: Path) -> None:
    """What a search sees are differences between checkpoints, small beside their size."""
    bank = make_bank(tmp_path, 3, {"a": (3 * TILE,)}).resident()
    base = bank.checkpoint(2)
    near = base.copy()
    near[7] = np.nextafter(near[7], np.float32(9))
    bank.weights = np.stack([base, near, base])
    slopes = slopes_of(bank)
    row = coefficient_gradient(bank, slopes)[0]
    assert row[0] == row[2]
    expected = slopes[7] * (float(near[7]) - float(base[7]))
    assert row[1] - row[0] == pytest.approx(expected, abs=4 * np.spacing(abs(row[0])))


def test_is_the_derivative_of_what_combine_gives(wide: Bank) -> None:
    groups, rng = make_groups(wide.tensors, "block"), np.random.default_rng(2)
    alpha, direction = rng.standard_normal((2, groups.G, wide.K))
    slopes = slopes_of(wide)
    gradient = coefficient_gradient(wide, slopes, groups)
    ahead, behind = combine(wide, np.stack([alpha + direction, alpha - direction]), groups).astype(np.float64)
    assert np.vdot(gradient, direction) == pytest.approx(slopes @ (ahead - behind) / 2, rel=1e-5)


def test_threads_share_a_bank(wide: Bank) -> None:
    many = [slopes_of(wide, seed) for seed in range(6)]
    expected = [coefficient_gradient(wide, slopes) for slopes in many]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda slopes: coefficient_gradient(wide, slopes), many))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 6))
def test_projected_rows_sum_to_zero_and_keep_what_moves_along_them(seed: int, rows: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    gradient, move = rng.standard_normal((2, rows, count))
    move -= move.mean(1, keepdims=True)
    found = projected(gradient)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-12)
    assert np.vdot(found, move) == pytest.approx(np.vdot(gradient, move), abs=1e-12)
    np.testing.assert_allclose(projected(found), found, atol=1e-15)


def test_gradients_that_do_not_fit(plain: Bank) -> None:
    with pytest.raises(InputError, match=rf"gradient: found shape \[3\], expected \[{plain.P}\]"):
        coefficient_gradient(plain, np.zeros(3))
    with pytest.raises(InputError, match="found NaN or infinite values"):
        coefficient_gradient(plain, np.full(plain.P, np.nan))
