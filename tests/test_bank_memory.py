"""What a bank takes in memory: whether it is kept, and that a streamed one needs no more than two blocks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import make_bank

from lcsc.bank import ResidentBank, memory


def test_bytes_are_those_of_float32() -> None:
    assert memory.resident_bytes(200, 296_000_000) == 236_800_000_000
    assert memory.streamed_bytes(3, 1_000_000) == 12_000_000 + 2 * memory.BLOCK_BYTES


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("count", [1, 20, 128, 129, 200, 1000])
def test_blocks_are_whole_tiles_within_their_bytes(count: int, differences: bool) -> None:
    columns = memory.block_columns(count, differences)
    assert memory.COLUMNS % columns == 0
    assert columns % memory.TILE == 0
    size = (5 if differences else 4) * count
    assert size * columns <= memory.BLOCK_BYTES or columns == memory.TILE
    assert columns == memory.COLUMNS or size * 2 * columns > memory.BLOCK_BYTES


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("count", [1, 50, 200, 1000, 5000])
def test_blocks_of_several_threads_take_no_more_than_two(count: int, threads: int, differences: bool) -> None:
    readers = memory.readers(count, differences, threads)
    assert 2 <= readers <= threads
    columns = memory.block_columns(count, differences, readers)
    assert columns % memory.TILE == 0
    block = (5 if differences else 4) * count * columns
    assert readers * block <= 2 * memory.BLOCK_BYTES or (readers, columns) == (2, memory.TILE)


def test_a_bank_is_kept_where_it_takes_no_more_than_it_may(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    size = memory.resident_bytes(bank.K, bank.P)
    assert isinstance(bank.kept(size), ResidentBank)
    assert bank.kept(size - 1) is bank


def test_a_slurm_job_has_what_it_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    assert memory.allowed_bytes() > 64 << 20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", str(1024 + 64))
    assert memory.allowed_bytes() == 64 << 20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1000")
    assert memory.allowed_bytes() == 0


def test_a_container_has_less_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    monkeypatch.setattr(memory, "_CGROUPS", ((str(limit), str(used)),))
    limit.write_text("max\n")
    assert memory.allowed_bytes() > 64 << 20
    limit.write_text("5000\n")
    used.write_text("2000\n")
    assert memory.allowed_bytes() == 1500
    used.write_text("6000\n")
    assert memory.allowed_bytes() == 0


GROWTH = """
import sys
from pathlib import Path
import numpy as np
from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.gram import centred_gram
from lcsc.groups import make_groups
def status(key):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(key))
def passes(bank):
    combine(bank, np.full((2, 1, bank.K), 1 / bank.K))
    coefficient_gradient(bank, np.ones(bank.P))
    centred_gram(bank, make_groups(bank.tensors, "all"))
passes(Bank.open(sys.argv[1]))  # what libraries take once
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
passes(Bank.open(sys.argv[2]))
print((status("VmHWM") - before) * 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_passes_take_the_candidates_and_two_blocks(tmp_path: Path) -> None:
    count = 48
    small = make_bank(tmp_path / "small", 2)
    bank = make_bank(tmp_path / "large", count, {"a": (400_000,)})
    command = [sys.executable, "-c", GROWTH, str(small.path), str(bank.path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    block = 4 * count * memory.block_columns(count)
    tile = 8 * (count + 6) * memory.TILE
    assert int(done.stdout) < 4 * 2 * bank.P + 2 * block + tile + (8 << 20)
    assert 4 * count * bank.P > 4 * 2 * bank.P + 2 * block + tile + (8 << 20)  # the bank itself would not do


def test_what_a_snakefile_may_import_is_light() -> None:
    code = "import sys, lcsc.bank.memory; print(sorted({'numpy', 'torch', 'h5py'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
