"""Sums along a fixed tree: no order of arrival, and no cut into branches, changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.tree_sum import TreeSum


def leaves(seed, count=16, missing=()):
    values = np.random.default_rng(seed).normal(size=(count, 5)) * 10.0 ** np.arange(count)[:, None]
    return [None if place in missing else values[place].copy() for place in range(count)]


def sum_of(arrays, order=None):
    total = TreeSum(len(arrays))
    for place in order or range(len(arrays)):
        total.add(place, arrays[place])
    return total.value


def test_neighbours_come_first():
    assert sum_of([np.array([v]) for v in (1e16, 1.0, -1e16, 1.0)]).tolist() == [0.0]
    assert sum_of([np.array([v]) for v in (1e16, -1e16, 1.0, 1.0)]).tolist() == [2.0]


@given(st.permutations(range(16)), st.sets(st.integers(0, 15), max_size=15), st.integers(0, 9))
def test_no_order_of_arrival_changes_a_bit(order, missing, seed):
    expected = sum_of(leaves(seed, missing=missing))
    assert sum_of(leaves(seed, missing=missing), order).tobytes() == expected.tobytes()
    present = [leaf for leaf in leaves(seed, missing=missing) if leaf is not None]
    np.testing.assert_allclose(expected, np.sum(present, axis=0), rtol=1e-9)


@given(st.sets(st.integers(0, 15), max_size=15), st.sampled_from([1, 2, 4, 8, 16]), st.integers(0, 9))
def test_branches_summed_apart_have_the_same_root(missing, count, seed):
    size = 16 // count
    arrays = leaves(seed, missing=missing)
    branches = [sum_of(arrays[start : start + size]) for start in range(0, 16, size)]
    assert sum_of(branches).tobytes() == sum_of(leaves(seed, missing=missing)).tobytes()


def test_nothing_adds_up_to_nothing_and_a_part_is_not_the_whole():
    assert sum_of([None] * 4) is None
    assert sum_of([np.ones(2)]).tolist() == [1, 1]
    total = TreeSum(4)
    total.add(2, np.ones(2))
    with pytest.raises(ValueError, match="some are missing"):
        assert total.value
    for count in (0, 3, 12):
        with pytest.raises(ValueError, match="power of two"):
            TreeSum(count)


def test_one_sum_waits_in_memory_and_the_others_in_files(monkeypatch):
    arrays = leaves(3)
    expected = sum_of(leaves(3)).tobytes()
    total, kept, waiting = TreeSum(16), [], []
    for place, array in enumerate(arrays):
        total.add(place, array)
        kept.append(sum(isinstance(other, np.ndarray) for other in total._waiting.values()))
        waiting.append(len(total._waiting))
    assert (max(kept), max(waiting)) == (1, 4)
    assert total.value.tobytes() == expected

    def full(array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lcsc.tree_sum._Stored", type("Full", (), {"__init__": lambda self, array: full(array)}))
    assert sum_of(leaves(3)).tobytes() == expected


def test_what_comes_back_from_a_file_beside_nothing_is_the_same_bits():
    arrays = [np.array([-0.0]), None, None, None, np.array([-0.0]), None, None, None]
    for order in ([0, 4, 1, 2, 3, 5, 6, 7], range(8)):
        assert np.signbit(sum_of([leaf if leaf is None else leaf.copy() for leaf in arrays], order))
