"""A bank that is kept on a GPU: near the CPU's sums, exact for one-hot rows, the same bytes each time."""

from __future__ import annotations

import numpy as np
import pytest
from on_gpu import DEVICE, GPU, context_on
from runs import make_bank
from test_device_bank import rows_of
from tiny import TinyRun

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.device_bank import CANDIDATES, DEVICE_TILE, DeviceBank
from lcsc.groups import make_groups
from lcsc.runtime import deterministic

pytestmark = GPU


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Tensors that begin and end within, at and across tiles."""
    shapes = {"a.w": (DEVICE_TILE - 1,), "b.w": (3,), "c.w": (2 * DEVICE_TILE - 2,), "d": (), "e.w": (1000,)}
    return make_bank(tmp_path_factory.mktemp("wide"), 20, shapes)


def test_a_run_keeps_its_bank_on_its_gpu(tiny_run: TinyRun) -> None:
    found = context_on(tiny_run).bank
    assert isinstance(found, DeviceBank) == (DEVICE.type == "cuda")
    if isinstance(found, DeviceBank):
        assert found.weights.device.type == DEVICE.type


@pytest.mark.parametrize("kind", ["all", "tensor"])
def test_sums_and_gradients_are_the_cpus(bank: Bank, kind: str) -> None:
    there, groups = DeviceBank.of(bank, DEVICE), make_groups(bank.tensors, kind)
    alpha = rows_of(bank, CANDIDATES + 3, groups.G)
    slopes = np.random.default_rng(0).standard_normal(bank.P)
    with deterministic():
        merged, gradient = there.combined(alpha, groups), coefficient_gradient(there, slopes, groups)
    assert merged.device.type == DEVICE.type
    np.testing.assert_allclose(merged.cpu().numpy(), combine(bank, alpha, groups), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gradient, coefficient_gradient(bank, slopes, groups), rtol=1e-9, atol=1e-9)


def test_one_hot_rows_are_that_checkpoint_bit_for_bit(bank: Bank) -> None:
    merged = DeviceBank.of(bank, DEVICE).combined(np.eye(bank.K)[:, None]).cpu().numpy()
    for k in range(bank.K):
        assert merged[k].tobytes() == bank.checkpoint(k).tobytes()


@pytest.mark.parametrize("kind", ["all", "tensor"])
def test_the_same_bytes_in_any_company_and_each_time(bank: Bank, kind: str) -> None:
    there, groups = DeviceBank.of(bank, DEVICE), make_groups(bank.tensors, kind)
    alpha = rows_of(bank, 2 * CANDIDATES + 1, groups.G)
    slopes = np.random.default_rng(1).standard_normal(bank.P)
    with deterministic():
        together = there.combined(alpha, groups).cpu().numpy()
        for m in (0, 3, CANDIDATES, 2 * CANDIDATES):
            assert there.combined(alpha[m : m + 1], groups).cpu().numpy().tobytes() == together[m].tobytes()
        gradients = {coefficient_gradient(there, slopes, groups).tobytes() for _ in range(3)}
    assert len(gradients) == 1
