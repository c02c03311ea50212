"""What a bank takes in memory: whether it is kept, and that a streamed one needs no more than two blocks."""

from __future__ import annotations

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


def test_a_bank_is_kept_where_it_takes_half_of_what_is_available(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    size = memory.resident_bytes(bank.K, bank.P)
    assert isinstance(bank.kept(2 * size), ResidentBank)
    assert bank.kept(2 * size - 1) is bank


def test_a_slurm_job_has_what_it_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    assert memory.available_bytes() > 64 << 20
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "64")
    assert memory.available_bytes() == 64 << 20


def test_a_container_has_less_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(memory, "_CGROUPS", ((str(limit), str(used)),))
    without = memory.available_bytes()
    limit.write_text("max\n")
    assert memory.available_bytes() == pytest.approx(without, rel=0.5)
    limit.write_text("5000\n")
    used.write_text("2000\n")
    assert memory.available_bytes() == 3000
    used.write_text("6000\n")
    assert memory.available_bytes() == 0


def test_what_a_snakefile_may_import_is_light() -> None:
    code = "import sys, lcsc.bank.memory; print(sorted({'numpy', 'torch', 'h5py'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
