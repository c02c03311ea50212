"""Collecting a run into a bank."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import save, save_run, weights

from lcsc.bank import Bank
from lcsc.checkpoints import Checkpoint
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.collection import Choice, collect, list_checkpoints
from lcsc.config import read_schema
from lcsc.errors import InputError, LcscError


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.exists() else {}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_run_becomes_a_bank_with_its_sources(tmp_path: Path, suffix: str) -> None:
    states = [weights(k) for k in range(3)]
    files = save_run(tmp_path / "run" / "inner", states, suffix)
    bank = collect(tmp_path / "run", tmp_path / "bank", pattern="inner/*")
    assert bank.steps == [10, 20, 30]
    for stored, path in zip(bank.checkpoints, files, strict=True):
        assert stored.source == f"inner/{path.name}"
        assert stored.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert bank.container["format"] == ("torch" if suffix == ".pt" else "safetensors")
    assert all(np.array_equal(bank.checkpoint(k), bank.flatten(state)) for k, state in enumerate(states))


def test_the_bank_does_not_depend_on_the_container(tmp_path: Path) -> None:
    states = [weights(k) for k in range(2)]
    save_run(tmp_path / "one", states)
    save_run(tmp_path / "two", states, ".pt")
    one, two = (collect(tmp_path / name, tmp_path / f"{name}-bank") for name in ("one", "two"))
    assert one.identity == two.identity


def test_two_collections_give_the_same_bytes(tmp_path: Path) -> None:
    states = [{**weights(k), "count": torch.tensor(k), "flags": torch.tensor([True, False])} for k in range(3)]
    save_run(tmp_path / "run", states)
    collect(tmp_path / "run", tmp_path / "one")
    time.sleep(1.1)  # HDF5 would store times in seconds
    collect(tmp_path / "run", tmp_path / "elsewhere" / "two")
    assert content_of(tmp_path / "one") == content_of(tmp_path / "elsewhere" / "two")


def test_a_window_of_steps(tmp_path: Path) -> None:
    save_run(tmp_path / "run", [weights(k) for k in range(5)])
    bank = collect(tmp_path / "run", tmp_path / "bank", from_step=20, to_step=45)
    assert bank.steps == [20, 30, 40]
    with pytest.raises(InputError, match=r"found 1 checkpoints from step 45 to 50, .* steps go from 10 to 50"):
        collect(tmp_path / "run", tmp_path / "bank", from_step=45)


def test_one_checkpoint_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_run(tmp_path / "run", [{**weights(k), "running_mean": torch.ones(2)} for k in range(4)])
    alive: list[weakref.ref[Any]] = []
    counts: list[int] = []
    read = SafetensorsFormat.read

    def watched(self: SafetensorsFormat, path: Path, state_key: str | None = None) -> Checkpoint:
        gc.collect()
        counts.append(sum(reference() is not None for reference in alive))
        checkpoint = read(self, path, state_key)
        alive.extend(weakref.ref(tensor) for tensor in checkpoint.tensors.values())
        return checkpoint

    monkeypatch.setattr(SafetensorsFormat, "read", watched)
    collect(tmp_path / "run", tmp_path / "bank")
    assert counts == [0, 0, 0, 0]


def bad_shape(state: dict[str, torch.Tensor]) -> None:
    state["scale"] = torch.ones(2)


def bad_value(state: dict[str, torch.Tensor]) -> None:
    state["scale"] = torch.tensor(float("nan"))


def bad_name(state: dict[str, torch.Tensor]) -> None:
    del state["scale"]


@pytest.mark.parametrize("spoil", [bad_shape, bad_value, bad_name])
@pytest.mark.parametrize("existing", [False, True])
def test_a_file_that_does_not_fit_leaves_the_bank_as_it_was(tmp_path: Path, spoil: Any, existing: bool) -> None:
    states = [weights(k) for k in range(3)]
    save_run(tmp_path / "run", states)
    if existing:
        collect(tmp_path / "run", tmp_path / "bank")
    before = content_of(tmp_path / "bank")
    spoil(states[2])
    save_run(tmp_path / "run", states)
    with pytest.raises(InputError, match=r"step-000030.safetensors: .*'scale'") as error:
        collect(tmp_path / "run", tmp_path / "bank")
    assert "\n" not in str(error.value)
    assert content_of(tmp_path / "bank") == before


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_checkpoints(tmp_path: Path, count: int) -> None:
    (tmp_path / "run").mkdir()
    save_run(tmp_path / "run", [weights(k) for k in range(count)])
    with pytest.raises(InputError, match="expected at least two"):
        collect(tmp_path / "run", tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_a_truncated_file(tmp_path: Path) -> None:
    files = save_run(tmp_path / "run", [weights(k) for k in range(3)])
    files[1].write_bytes(files[1].read_bytes()[:-20])
    with pytest.raises(InputError, match=r"step-000020.safetensors: cannot be read as a safetensors file"):
        collect(tmp_path / "run", tmp_path / "bank")
    assert content_of(tmp_path / "bank") == {}


FULL_DISK = """
import resource, sys
from lcsc.collection import collect
from lcsc.errors import LcscError
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    collect(sys.argv[1], sys.argv[2])
except LcscError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [0, 1000, 300_000])
def test_a_full_disk_leaves_the_bank_as_it_was(tmp_path: Path, limit: int) -> None:
    shapes = {"a": (100_000,)}
    save_run(tmp_path / "run", [weights(k, shapes) for k in range(3)])
    collect(tmp_path / "run", tmp_path / "bank", to_step=20)
    before = content_of(tmp_path / "bank")
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "run"), str(tmp_path / "bank"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be written (File too large); free space or choose another folder" in done.stdout
    assert done.stdout.count("\n") == 1
    assert content_of(tmp_path / "bank") == before
    Bank.open(tmp_path / "bank", verify=True)


def test_an_index_that_cannot_be_written_leaves_the_segment_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_run(tmp_path / "run", [weights(k) for k in range(3)])
    collect(tmp_path / "run", tmp_path / "bank", to_step=20)
    before = content_of(tmp_path / "bank")

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(LcscError, match="No space left on device"):
        collect(tmp_path / "run", tmp_path / "bank")
    assert content_of(tmp_path / "bank") == before


def test_what_would_be_read_is_listed(tmp_path: Path) -> None:
    save_run(tmp_path, [{f"model.{name}": tensor for name, tensor in weights(k).items()} for k in range(2)])
    save(tmp_path / "step-30.pt", weights(0))
    text = list_checkpoints(tmp_path, pattern="*.safetensors")
    assert text.splitlines()[0] == "2 checkpoints, track raw, prefix model."
    assert "step 20" in text
    assert "body.10.weight  [4, 5]  float32  combined  [body.10]" in text


def test_the_list_is_of_the_same_window(tmp_path: Path) -> None:
    save_run(tmp_path, [weights(k) for k in range(5)])
    lines = list_checkpoints(tmp_path, from_step=20, to_step=40).splitlines()
    assert lines[0].startswith("3 checkpoints")
    assert [line.split()[1] for line in lines if line.startswith("  step")] == ["20", "30", "40"]
    with pytest.raises(InputError, match="found 1 checkpoints from step 45 to 50"):
        list_checkpoints(tmp_path, from_step=45)


def test_the_configuration_has_the_keys_of_a_choice() -> None:
    section = read_schema()["$defs"]["run"]["properties"]["checkpoints"]
    assert Choice.__annotations__.keys() <= section["properties"].keys() - {"folder"}


@pytest.mark.parametrize("place", ["/dev/null/bank", "/proc/bank"])
def test_a_place_where_no_bank_can_be_is_named(tmp_path: Path, place: str) -> None:
    save_run(tmp_path, [weights(k) for k in range(2)])
    with pytest.raises(LcscError, match=rf"^{place}: cannot be written") as error:
        collect(tmp_path, place)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 1
