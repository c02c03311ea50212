"""Linear combinations of a bank's checkpoints."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import make_bank, wild_bank

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.memory import TILE
from lcsc.errors import InputError
from lcsc.groups import make_groups

KINDS = ["all", "tensor", "block", ["a", "c"]]


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return wild_bank(tmp_path_factory.mktemp("wild")).resident()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Tensors that begin and end within, at and across tiles and blocks."""
    shapes = {"a.0.w": (TILE - 1,), "a.1.w": (3,), "b.0.w": (65_536 - 5,), "b.1.w": (2 * TILE,), "c": ()}
    return make_bank(tmp_path_factory.mktemp("wide"), 6, shapes)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("plain"), 5).resident()


def coefficients(rng: np.random.Generator, *shape: int) -> np.ndarray:
    values = rng.standard_normal(shape)
    return values + (1 - values.sum(axis=-1, keepdims=True)) / shape[-1]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_one_hot_rows_are_that_checkpoint_bit_for_bit(wild: Bank, kind: str) -> None:
    groups = make_groups(wild.tensors, kind)
    for k in range(wild.K):
        alpha = np.zeros((1, groups.G, wild.K))
        alpha[:, :, k] = 1
        assert combine(wild, alpha, groups)[0].tobytes() == wild.checkpoint(k).tobytes()


def test_each_group_may_pick_another_checkpoint(wild: Bank) -> None:
    groups = make_groups(wild.tensors, "tensor")
    rng = np.random.default_rng(0)
    picks = rng.integers(wild.K, size=(7, groups.G))
    alpha = np.eye(wild.K)[picks]
    alpha[3, 1] = coefficients(rng, wild.K)  # one row of one candidate picks nothing
    merged = combine(wild, alpha, groups)
    for m in range(7):
        for start, stop, row in groups.runs:
            if (m, row) != (3, 1):
                part = slice(start, stop)
                expected = wild.checkpoint(int(picks[m, row]))[part]
                assert merged[m, part].tobytes() == expected.tobytes()


def test_against_exact_fractions(wild: Bank) -> None:
    alpha = coefficients(np.random.default_rng(1), 2, 1, wild.K)
    merged = combine(wild, alpha)
    rows = [wild.checkpoint(k) for k in range(wild.K)]
    for column in range(0, wild.P, 7):
        for m in range(2):
            terms = [Fraction(float(alpha[m, 0, k])) * Fraction(float(rows[k][column])) for k in range(wild.K)]
            scale = float(max(abs(term) for term in terms))
            error = abs(float(sum(terms)) - float(merged[m, column]))
            assert error <= 1e-6 * abs(float(sum(terms))) + 1e-13 * scale + 2e-45


def test_large_coefficients_keep_their_precision(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, 20)
    alpha = 6 * coefficients(np.random.default_rng(2), 3, 1, 20)
    alpha += (1 - alpha.sum(axis=-1, keepdims=True)) / 20
    rows = np.stack([bank.checkpoint(k) for k in range(20)]).astype(np.longdouble)
    exact = np.einsum("mk,kp->mp", alpha[:, 0].astype(np.longdouble), rows)
    found = combine(bank, alpha)
    assert np.max(np.abs(found - exact) / np.maximum(np.abs(exact), 1e-3)) < 1e-7


def test_the_ema_recursion_is_its_coefficients(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, 12)
    rate = 0.8
    average = bank.checkpoint(0).astype(np.float64)
    for k in range(1, 12):
        average = rate * average + (1 - rate) * bank.checkpoint(k)
    alpha = np.array([rate**11, *((1 - rate) * rate ** (11 - k) for k in range(1, 12))])
    assert alpha.sum() == pytest.approx(1)
    np.testing.assert_allclose(combine(bank, alpha[None, None])[0], average, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["all", "tensor", "tensor/3", "block", ["a.*", "b.1"]], ids=str)
def test_resident_streamed_and_plain_sums_agree(wide: Bank, kind: str) -> None:
    groups = make_groups(wide.tensors, kind)
    alpha = coefficients(np.random.default_rng(3), 3, groups.G, wide.K)
    streamed = combine(wide, alpha, groups)
    assert combine(wide.resident(), alpha, groups).tobytes() == streamed.tobytes()
    rows = np.stack([wide.checkpoint(k) for k in range(wide.K)]).astype(np.float64)
    for start, stop, row in groups.runs:
        part = slice(start, stop)
        np.testing.assert_allclose(streamed[:, part], alpha[:, row] @ rows[:, part], rtol=1e-5, atol=1e-6)


def test_a_candidate_comes_out_alike_alone_and_among_others(wide: Bank) -> None:
    alpha = coefficients(np.random.default_rng(4), 5, 1, wide.K)
    together = combine(wide, alpha)
    alone = np.concatenate([combine(wide, alpha[m : m + 1]) for m in range(5)])
    assert alone.tobytes() == together.tobytes()


def test_threads_share_a_bank(wide: Bank) -> None:
    candidates = coefficients(np.random.default_rng(5), 12, 4, 1, wide.K)
    for bank in (wide, wide.resident()):
        expected = [combine(bank, alpha) for alpha in candidates]
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda alpha, bank=bank: combine(bank, alpha), candidates))
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_memory_is_bounded_by_blocks(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, 8, {"a": (600_000,)})
    alpha = coefficients(np.random.default_rng(6), 1, 1, 8)
    combine(bank, alpha)
    tracemalloc.start()
    combine(bank, alpha)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result, block = 4 * 600_000, 4 * 8 * 65_536
    assert peak < result + 2 * block + 1_000_000  # a tile's numbers


def test_sums_beyond_float32_are_infinite(wild: Bank) -> None:
    merged = combine(wild, 1e6 * coefficients(np.random.default_rng(7), 1, 1, wild.K))
    assert np.isinf(merged).any()
    assert not np.isnan(merged).any()


def test_coefficients_that_do_not_fit(wild: Bank) -> None:
    groups = make_groups(wild.tensors, "tensor")
    with pytest.raises(InputError, match=r"found shape \[1, 5\], expected \[candidates, 1 rows, 5 checkpoints\]"):
        combine(wild, np.zeros((1, 5)))
    with pytest.raises(InputError, match=r"found shape \[2, 1, 4\]"):
        combine(wild, np.zeros((2, 1, 4)))
    with pytest.raises(InputError, match=r"expected \[candidates, 3 rows, 5 checkpoints\]"):
        combine(wild, np.zeros((1, 1, 5)), groups)
    with pytest.raises(InputError, match="found NaN or infinite values"):
        combine(wild, np.full((1, 1, 5), np.nan))


@settings(max_examples=20, deadline=None)
@given(
    scale=st.floats(1e-3, 100),
    seed=st.integers(0, 1000),
    m=st.integers(0, 6),
    kind=st.sampled_from(KINDS[:3]),
)
def test_combining_is_linear(plain: Bank, scale: float, seed: int, m: int, kind: str) -> None:
    groups = make_groups(plain.tensors, kind)
    rng = np.random.default_rng(seed)
    one, other = (scale * rng.standard_normal((m, groups.G, plain.K)) for _ in range(2))
    merged = [combine(plain, alpha, groups).astype(np.float64) for alpha in (one, other, (one + other) / 2)]
    assert merged[0].shape == (m, plain.P)
    np.testing.assert_allclose((merged[0] + merged[1]) / 2, merged[2], rtol=0, atol=1e-5 * scale)
