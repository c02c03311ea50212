"""A bank kept on a device: near the CPU's combination, exact for one-hot rows, the same bytes in any company."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import make_bank
from test_shards import candidates_of, scored_by, scored_in_shares
from tiny import CPU, TinyRun

from lcsc.bank import Bank, device_bank
from lcsc.bank.combination import combine, combined
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.device_bank import CANDIDATES, DeviceBank
from lcsc.errors import InputError
from lcsc.gradients import GradientEvaluator
from lcsc.groups import make_groups
from lcsc.runtime import deterministic
from lcsc.search_scoring import SearchScoring

TILE = 64  # in tests: tensors reach over several


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_bank, "DEVICE_TILE", TILE)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Tensors that begin and end within, at and across tiles."""
    shapes = {"a.0.w": (TILE - 1,), "a.1.w": (3,), "b.0.w": (2 * TILE - 2,), "b.1.w": (2 * TILE,), "c": ()}
    return make_bank(tmp_path_factory.mktemp("wide"), 6, shapes)


def rows_of(bank: Bank, candidates: int, rows: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((candidates, rows, bank.K))
    return np.asarray(values + (1 - values.sum(axis=-1, keepdims=True)) / bank.K)


@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.sampled_from([1, 2, 7, TILE - 1, TILE, 3 * TILE + 5]), min_size=1, max_size=4),
    count=st.integers(2, 6),
    candidates=st.integers(0, 2 * CANDIDATES + 1),
    kind=st.sampled_from(["all", "tensor", "block"]),
    seed=st.integers(0, 1000),
)
def test_is_what_the_cpu_combines_and_its_gradient(
    tmp_path_factory: pytest.TempPathFactory, widths: list[int], count: int, candidates: int, kind: str, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("bank")
    bank = make_bank(folder, count, {f"layer{place}.w": (width,) for place, width in enumerate(widths)})
    on_device, groups = DeviceBank.of(bank, CPU), make_groups(bank.tensors, kind)
    alpha = rows_of(bank, candidates, groups.G, seed)
    merged = on_device.combined(alpha, groups)
    assert (merged.dtype, tuple(merged.shape)) == (torch.float32, (candidates, bank.P))
    np.testing.assert_allclose(merged.numpy(), combine(bank, alpha, groups), rtol=1e-6, atol=1e-12)
    slopes = np.random.default_rng(seed).standard_normal(bank.P)
    expected = coefficient_gradient(bank, slopes, groups)
    np.testing.assert_allclose(coefficient_gradient(on_device, slopes, groups), expected, rtol=1e-11, atol=1e-11)
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["all", "tensor"])
def test_one_hot_rows_are_that_checkpoint_bit_for_bit(wide: Bank, kind: str) -> None:
    on_device, groups = DeviceBank.of(wide, CPU), make_groups(wide.tensors, kind)
    picks = np.random.default_rng(1).integers(wide.K, size=(CANDIDATES + 2, groups.G))
    merged = on_device.combined(np.eye(wide.K)[picks], groups).numpy()
    for m, chosen in enumerate(picks):
        for start, stop, row in groups.runs:
            assert merged[m, start:stop].tobytes() == wide.checkpoint(int(chosen[row]))[start:stop].tobytes()


def test_a_candidate_has_the_same_bytes_in_any_company(wide: Bank) -> None:
    on_device, groups = DeviceBank.of(wide, CPU), make_groups(wide.tensors, "tensor")
    alpha = rows_of(wide, 2 * CANDIDATES + 1, groups.G)
    together = on_device.combined(alpha, groups).numpy()
    for m in range(len(alpha)):
        assert on_device.combined(alpha[m : m + 1], groups).numpy().tobytes() == together[m].tobytes()


def test_sums_beyond_float32_are_infinite(wide: Bank) -> None:
    merged = DeviceBank.of(wide, CPU).combined(1e39 * rows_of(wide, 1, 1))
    assert merged.isinf().any()
    assert not merged.isnan().any()


def test_what_combines_it_stays_there_or_comes_to_the_cpu_as_asked(wide: Bank) -> None:
    on_device, alpha = DeviceBank.of(wide, CPU), rows_of(wide, 3, 1)
    kept = combined(on_device, alpha)
    assert isinstance(kept, torch.Tensor)
    assert combine(on_device, alpha).tobytes() == kept.numpy().tobytes()
    streamed = combined(wide, alpha)
    assert isinstance(streamed, np.ndarray)
    assert streamed.tobytes() == combine(wide, alpha).tobytes()


def test_coefficients_and_gradients_that_do_not_fit(wide: Bank) -> None:
    on_device = DeviceBank.of(wide, CPU)
    with pytest.raises(InputError, match=r"found shape \[2, 1, 4\], expected \[candidates, 1 rows, 6 checkpoints\]"):
        on_device.combined(np.zeros((2, 1, 4)))
    with pytest.raises(InputError, match=r"gradient: found shape \[3\]"):
        coefficient_gradient(on_device, np.zeros(3))


@pytest.mark.parametrize("with_gradients", [False, True])
def test_a_search_scores_what_it_scores_without_and_in_shards(
    tiny_run: TinyRun, tmp_path: Path, with_gradients: bool
) -> None:
    with deterministic(1):
        context = tiny_run.context()
        evaluator = context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "search", 130)
        groups = make_groups(context.bank.tensors, "tensor")
        plain = SearchScoring(context, evaluator, groups)
        placed_there = replace(plain, context=replace(context, bank=DeviceBank.of(tiny_run.bank, CPU)))
        candidates = candidates_of(plain, 4)
        expected = scored_by(plain, candidates, tmp_path / "plain", with_gradients)
        found = scored_by(placed_there, candidates, tmp_path / "there", with_gradients)
        shared = scored_in_shares(placed_there, candidates, tmp_path / "shared", with_gradients, 2)
    assert [score.value for score in found] == [score.value for score in shared]
    assert [score.value for score in found] == pytest.approx([score.value for score in expected], rel=1e-3)
    if with_gradients:
        for mine, again, theirs in zip(found, shared, expected, strict=True):
            assert mine.gradient.tobytes() == again.gradient.tobytes()
            error = np.linalg.norm(mine.gradient - theirs.gradient)
            assert error < 1e-3 * np.linalg.norm(theirs.gradient)


def test_weights_that_are_not_finite_have_no_score(tiny_run: TinyRun) -> None:
    evaluator = tiny_run.context().evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "search", 50)
    weights = torch.from_numpy(tiny_run.bank.checkpoint(0))
    weights[3] = torch.inf
    for found in (evaluator.score(weights), GradientEvaluator.of(evaluator).value_and_gradient(weights).score):
        assert (found.value, found.reason) == (None, "the combined weights are not finite")
