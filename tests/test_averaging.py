"""Coefficients that are written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.errors import InputError
from lcsc.search import averaging

STEPS = list(range(25, 525, 25))


@given(st.integers(2, 60), st.floats(0.0, 0.9999))
def test_ema_coefficients_equal_the_recursion(count, rate):
    values = np.random.default_rng(count).normal(size=(count, 7))
    expected = values[0]
    for value in values[1:]:
        expected = rate * expected + (1 - rate) * value
    np.testing.assert_allclose(averaging.ema_coefficients(count, rate)[0] @ values, expected, rtol=1e-10, atol=1e-12)


@given(st.floats(1e-6, 0.999999))
def test_rows_sum_to_one(rate):
    for rows in (averaging.ema_shaped(STEPS, rate), averaging.uniform(20), averaging.single(20, 3)):
        assert rows.shape == (1, 20)
        assert rows.sum() == pytest.approx(1, abs=1e-12)


def test_ema_shaped_falls_by_the_rate_at_each_step():
    row = averaging.ema_shaped(STEPS, 0.97)[0]
    np.testing.assert_allclose(row[:-1] / row[1:], 0.97**25, rtol=1e-12)


def test_ema_shaped_reaches_from_last_to_uniform():
    np.testing.assert_allclose(averaging.ema_shaped(STEPS, 1e-9), averaging.single(20, 19), atol=1e-12)
    np.testing.assert_allclose(averaging.ema_shaped(STEPS, 1 - 1e-12), averaging.uniform(20), atol=1e-8)


@given(st.integers(1, 20))
def test_a_window_is_the_mean_of_the_last_checkpoints(size):
    values = np.random.default_rng(size).normal(size=(20, 3))
    np.testing.assert_allclose(averaging.window(20, size)[0] @ values, values[-size:].mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("size", [0, 21])
def test_windows_that_the_bank_does_not_have_are_refused(size):
    with pytest.raises(InputError, match=f"uniform window: found {size} checkpoints, expected 1 to 20"):
        averaging.window(20, size)


@given(st.integers(1, 20_000), st.integers(2, 12))
def test_suited_rates_keep_what_is_asked_for_whatever_the_distance(spacing, count):
    steps = [1000 + spacing * place for place in range(count)]
    for kept, rate in zip((0.1, 0.5, 0.9), averaging.suited_rates(steps, (0.1, 0.5, 0.9)), strict=True):
        assert 0 < rate < 1
        row = averaging.ema_shaped(steps, rate)[0]
        assert row[-2] / row[-1] == pytest.approx(kept, rel=0.03)
