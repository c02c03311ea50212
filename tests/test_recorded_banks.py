"""Recorded banks where a run's checkpoints are expected, and collected ones that hold differences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import save_run, weights
from torch import nn

from lcsc import collection
from lcsc.bank import Bank
from lcsc.cli import main
from lcsc.collection import collect, list_checkpoints
from lcsc.config import read_schema
from lcsc.config.settings import _collect
from lcsc.errors import InputError
from lcsc.export import export_merged
from lcsc.training.recorder import Recorder


def recorded(folder: Path, steps: int = 12, **options: str) -> Bank:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 2))
    with Recorder(folder, every=10, **options) as recorder:
        for step in range(10, 10 * steps + 1, 10):
            for parameter in model.parameters():
                parameter.data += 1e-3 * torch.randn(parameter.shape)
            recorder(step, model)
    return Bank.open(folder)


@pytest.mark.parametrize("storage", ["float32", "differences"])
def test_a_recorded_bank_is_collected_as_it_is(tmp_path: Path, storage: str) -> None:
    source = recorded(tmp_path / "mine", storage=storage)
    bank = collect(tmp_path / "mine", tmp_path / "bank")
    assert (bank.identity, bank.storage) == (source.identity, "float32")
    assert bank.resident().weights.tobytes() == source.resident().weights.tobytes()
    assert sorted(path.name for path in bank.path.iterdir()) == ["index.json", "segment-0000.h5"]
    assert [stored.source for stored in bank.checkpoints] == [f"segment-{k:04d}.h5" for k in range(12)]
    again = collect(tmp_path / "mine", tmp_path / "again", storage="differences")
    error = np.abs(again.resident().weights - source.resident().weights)
    assert (again.storage, again.steps) == ("differences", source.steps)
    assert np.max(error) < 1e-5


def test_a_collected_bank_is_not_disturbed_by_what_the_recorder_does(tmp_path: Path) -> None:
    recorded(tmp_path / "mine")
    bank = collect(tmp_path / "mine", tmp_path / "bank", from_step=50, every=20)
    before = bank.resident().weights.tobytes()
    assert bank.steps == [60, 80, 100, 120]
    with Recorder(tmp_path / "mine", resumed_from=40):
        pass
    assert Bank.open(tmp_path / "mine").steps == [10, 20, 30, 40]
    assert Bank.open(tmp_path / "bank", verify=True).resident().weights.tobytes() == before


def test_what_would_be_read_is_listed(tmp_path: Path) -> None:
    recorded(tmp_path)
    lines = list_checkpoints(tmp_path, count=3).splitlines()
    assert lines[:2] == ["3 checkpoints, track raw, prefix none", "format bank"]
    assert lines[4].split()[:2] == ["step", "120"]


def test_the_merged_file_stands_under_a_step_s_name(tmp_path: Path) -> None:
    recorded(tmp_path / "mine")
    bank = collect(tmp_path / "mine", tmp_path / "bank", to_step=90)
    export_merged(bank, np.full((1, 9), 1 / 9), output=tmp_path / "merged.safetensors", native=tmp_path / "native")
    (path,) = (tmp_path / "native").iterdir()
    assert path.name == "step-000090.safetensors"
    assert path.read_bytes() == (tmp_path / "merged.safetensors").read_bytes()


def test_a_bank_that_was_collected_from_files_keeps_their_container(tmp_path: Path) -> None:
    states = [{f"module.{name}": tensor for name, tensor in weights(k).items()} for k in range(3)]
    save_run(tmp_path / "run", states, ".pt")
    collect(tmp_path / "run", tmp_path / "one", storage="differences")
    bank = collect(tmp_path / "one", tmp_path / "two")
    export_merged(bank, np.full((1, 3), 1 / 3), output=tmp_path / "merged.safetensors", native=tmp_path / "native")
    merged = torch.load(tmp_path / "native" / "step-000030.pt", weights_only=True)
    assert merged.keys() == states[0].keys()


def test_a_segment_of_many_checkpoints_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "mine")
    whole = collect(tmp_path / "mine", tmp_path / "whole")
    hashed: list[Path] = []
    plain = collection.content_sha256

    def counted(path: Path) -> str:
        hashed.append(path)
        return plain(path)

    monkeypatch.setattr(collection, "content_sha256", counted)
    again = collect(tmp_path / "whole", tmp_path / "again")
    assert hashed == [tmp_path / "whole" / "segment-0000.h5"]
    assert {stored.sha256 for stored in again.checkpoints} == {plain(hashed[0])}
    assert again.identity == whole.identity


def test_banks_have_no_files_to_choose(tmp_path: Path) -> None:
    recorded(tmp_path / "mine")
    with pytest.raises(InputError, match="found a bank, in which pattern 'x' chooses nothing"):
        collect(tmp_path / "mine", tmp_path / "bank", pattern="x")
    with pytest.raises(InputError, match="found 1 checkpoints from step 120 to 120, expected at least two"):
        collect(tmp_path / "mine", tmp_path / "bank", from_step=120)


def test_a_damaged_bank_is_not_collected(tmp_path: Path) -> None:
    recorded(tmp_path / "mine")
    path = tmp_path / "mine" / "segment-0003.h5"
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"segment-0003\.h5: found sha256"):
        collect(tmp_path / "mine", tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_the_command_line_takes_banks_and_storage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recorded(tmp_path / "mine")
    arguments = ["collect", "--folder", str(tmp_path / "mine"), "--output", str(tmp_path / "bank"), "--settings"]
    assert main([*arguments, json.dumps({"storage": "differences", "count": 5})]) == 0
    assert Bank.open(tmp_path / "bank").storage == "differences"
    assert main([*arguments, "{}"]) == 0
    assert Bank.open(tmp_path / "bank").identity == source.identity
    assert main([*arguments, json.dumps({"storage": "float16"})]) == 2
    assert "storage: found 'float16', expected one of float32, differences" in capsys.readouterr().err


def test_storage_stands_in_the_settings_only_where_it_is_asked_for() -> None:
    assert "storage" not in _collect({}, "run", {"checkpoints": {"folder": "x", "storage": "float32"}}, None)
    found = _collect({}, "run", {"checkpoints": {"folder": "x", "storage": "differences"}}, None)
    assert found["storage"] == "differences"
    section = read_schema()["$defs"]["run"]["properties"]["checkpoints"]["properties"]
    assert section["storage"]["default"] == "float32"
