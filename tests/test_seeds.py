"""Noise depends on the sample alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc import seeds

SHAPE = (1, 2, 2)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 700), st.integers(1, 600))
def test_any_slice_equals_the_slice_of_the_whole(start, length):
    whole = seeds.noise("search", 3, 0, 0, 1300, SHAPE)
    part = seeds.noise("search", 3, 0, start, start + length, SHAPE)
    np.testing.assert_array_equal(part, whole[start : start + length])


def test_purposes_seeds_iterations_and_steps_share_nothing():
    draws = [
        seeds.noise(purpose, seed, iteration, 0, 8, SHAPE, step).tobytes()
        for purpose in ("search", "stopping", "selection", "report")
        for seed in (0, 1)
        for iteration in (0, 1)
        for step in (0, 1)
    ]
    assert len(set(draws)) == len(draws)


def test_noise_is_standard_normal():
    values = seeds.noise("report", 0, 0, 0, 4096, (16,))
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01


def test_labels_cover_the_classes_and_follow_the_sample():
    whole = seeds.labels("report", 0, 0, 0, 600, 10)
    assert set(whole) == set(range(10))
    np.testing.assert_array_equal(seeds.labels("report", 0, 0, 300, 310, 10), whole[300:310])


def test_a_restored_generator_goes_on_where_it_was():
    rng = seeds.generator("optimiser", 5)
    rng.normal(size=7)
    state = seeds.generator_state(rng)
    expected = rng.normal(size=5)
    np.testing.assert_array_equal(seeds.restore_generator(state).normal(size=5), expected)


def test_an_unknown_purpose_is_an_error():
    with pytest.raises(KeyError):
        seeds.seed_sequence("hope", 0)  # type: ignore[arg-type]
