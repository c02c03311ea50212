"""Runs of EDM and EDM2: modules that the tests pickle from classes of their own."""

from __future__ import annotations

import logging
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lcsc.checkpoints import edm, pickle_worker
from lcsc.checkpoints.inert_files import read_inert
from lcsc.checkpoints.inert_pickle import module_state
from lcsc.collection import collect
from lcsc.errors import InputError
from lcsc.export import export_merged, merge_from_recipe, read_recipe

in_a_process = edm._worker
SOURCE = """
import torch

class Denoiser(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = torch.nn.ModuleDict({"enc": torch.nn.Linear(3, 4), "norm": torch.nn.GroupNorm(2, 4)})
        self.model.register_buffer("freqs", torch.ones(5))
        self.model.register_buffer("scratch", torch.zeros(2), persistent=False)

class Odd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3))
    def __reduce__(self):
        return restore, (self.weight.detach().tolist(),)

def restore(values):
    module = Odd()
    module.weight.data = torch.tensor(values)
    return module

class Partly(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.plain, self.odd = torch.nn.Linear(2, 2), Odd()

ALLOWED = False

def _reconstruct_persistent_obj(meta):
    if not ALLOWED:
        raise RuntimeError("its source would be executed here")
    module = Persistent.__new__(Persistent)
    module.__dict__.update(meta["state"])
    return module

class Persistent(Denoiser):
    def __reduce__(self):
        state = super().__reduce__()[2]
        return _reconstruct_persistent_obj, (dict(type="class", version=6, module_src="boom()", state=state),)
"""


@pytest.fixture
def code(tmp_path: Path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "their_networks.py").write_text(SOURCE)
    module: Any = types.ModuleType("their_networks")
    sys.modules["their_networks"] = module
    exec(compile(SOURCE, "their_networks.py", "exec"), module.__dict__)
    yield module, folder
    del sys.modules["their_networks"]


def save_run(folder: Path, kind: Any) -> dict[str, dict[str, torch.Tensor]]:
    folder.mkdir()
    last: dict[str, dict[str, torch.Tensor]] = {}
    for step in (100, 200):
        torch.manual_seed(step)
        for name, key in (
            (f"network-snapshot-{step:06d}.pkl", "ema"),
            (f"network-snapshot-{step:06d}-0.050.pkl", "ema"),
        ):
            module = kind()
            (folder / name).write_bytes(pickle.dumps({key: module, "loss_fn": types.SimpleNamespace(sigma=1)}))
            last["ema_0.050" if "0.050" in name else "ema"] = module.state_dict()
        module = kind()
        state = {"lr": 1, "mean": torch.full((3,), float(step))}
        torch.save({"net": module, "optimizer_state": state}, folder / f"training-state-{step:06d}.pt")
        last["raw"] = module.state_dict()
    return last


def without_processes(task: str, words: list[str]) -> str:
    """The worker's work, here: a process for each file takes seconds to import PyTorch."""
    {"read": pickle_worker.read, "write": pickle_worker.write}[task](
        Path(words[0]), words[1], Path(words[2]), *words[3:]
    )
    return ""


def only_writing_in_processes(task: str, words: list[str]) -> str:
    return (in_a_process if task == "write" else without_processes)(task, words)


@pytest.mark.parametrize("kind", ["Denoiser", "Persistent"])
def test_tensors_come_out_without_the_classes(
    tmp_path: Path, code: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    expected = save_run(tmp_path / "run", getattr(code[0], kind))
    for track, state in expected.items():
        # A process for each file of one track of the kind whose code must not be executed.
        alone = (kind, track) == ("Persistent", "raw")
        monkeypatch.setattr(edm, "_worker", in_a_process if alone else without_processes)
        bank = collect(tmp_path / "run", tmp_path / track, track=track, trust_pickle=True)
        assert (bank.steps, bank.prefix) == ([100, 200], "model.")
        found = bank.restore_names(bank.unflatten(bank.checkpoint(1)))
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def load(path: Path) -> Any:
    """As the code base does, with its classes."""
    if path.suffix == ".pt":
        return torch.load(path, weights_only=False)
    with path.open("rb") as stream:
        return pickle.load(stream)


@pytest.mark.parametrize(("kind", "track"), [("Persistent", "raw"), ("Denoiser", "raw"), ("Persistent", "ema_0.050")])
def test_the_code_base_loads_the_merged_file(
    tmp_path: Path, code: Any, monkeypatch: pytest.MonkeyPatch, kind: str, track: str
) -> None:
    monkeypatch.setattr(edm, "_worker", without_processes if kind == "Persistent" else only_writing_in_processes)
    save_run(tmp_path / "run", getattr(code[0], kind))
    bank = collect(tmp_path / "run", tmp_path / "bank", track=track, trust_pickle=True)
    native = tmp_path / "native"
    export_merged(bank, np.array([[0.5, 0.5]]), output=tmp_path / "m.safetensors", native=native)
    code[0].ALLOWED = True
    name, key = ("training-state-000200.pt", "net") if track == "raw" else ("network-snapshot-000200-0.050.pkl", "ema")
    source, merged = load(tmp_path / "run" / name), load(native / name)
    assert type(merged[key]) is type(source[key])
    halfway = bank.restore_names(bank.unflatten((bank.checkpoint(0) + bank.checkpoint(1)) / 2))
    made = merged[key].state_dict()
    assert made.keys() == source[key].state_dict().keys()
    assert all(torch.equal(made[place], tensor) for place, tensor in halfway.items())
    assert not torch.equal(made["model.enc.weight"], source[key].state_dict()["model.enc.weight"])
    assert torch.equal(merged[key].model.scratch, source[key].model.scratch)
    if track == "raw":  # what is no weight stays as it was
        assert merged["optimizer_state"]["lr"] == 1
        assert torch.equal(merged["optimizer_state"]["mean"], source["optimizer_state"]["mean"])
        with zipfile.ZipFile(native / name) as archive:
            assert archive.testzip() is None
    else:
        assert merged["loss_fn"] == source["loss_fn"]
        assert (native / name).stat().st_size == (tmp_path / "run" / name).stat().st_size
    merge_from_recipe(read_recipe(native / name), bank, tmp_path / f"again{Path(name).suffix}")
    assert (tmp_path / f"again{Path(name).suffix}").read_bytes() == (native / name).read_bytes()


def test_storages_that_tensors_share_and_their_order(tmp_path: Path) -> None:
    """Tied tensors, views, equal numbers, other types and strides: each in its own place of either kind of file."""
    shared = torch.arange(6.0)
    state = {
        "a": torch.zeros(3), "b": torch.zeros(3), "tied": shared, "twin": shared, "part": shared[2:5],
        "turned": torch.randn(3, 4).T, "half": torch.ones(5, dtype=torch.float16), "count": torch.tensor(7),
        "empty": torch.zeros(0),
    }  # fmt: skip
    other = b"no tensor" + bytes(torch.zeros(3).numpy())
    with (tmp_path / "x.pkl").open("wb") as stream:
        pickle.dump({"other": other, "ema": state, "again": [state["b"], other]}, stream)
    torch.save({"other": other, "ema": state, "again": [state["b"], other]}, tmp_path / "x.pt")
    for name in ("x.pkl", "x.pt"):
        file = read_inert(tmp_path / name)
        for number, tensor in enumerate(file.content["ema"].values()):
            tensor.fill_(number + 1)
        written = {name: tensor.clone() for name, tensor in file.content["ema"].items()}
        storages = [tensor.untyped_storage() for tensor in file.content["ema"].values()]
        file.write(tmp_path / f"copy-{name}", {storage.data_ptr(): storage for storage in storages})
        found = load(tmp_path / f"copy-{name}")
        assert found["other"] == found["again"][1] == other
        assert found["again"][0] is found["ema"]["b"]
        assert all(torch.equal(found["ema"][key], tensor) for key, tensor in written.items())
        assert all(found["ema"][key].stride() == tensor.stride() for key, tensor in state.items())


@pytest.mark.parametrize(("kind", "count"), [("Odd", 3), ("Partly", 9)])
def test_modules_that_need_their_code(
    tmp_path: Path, code: Any, kind: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where only a module within does: its tensors must not go missing without a word."""
    save_run(tmp_path / "run", getattr(code[0], kind))
    with pytest.raises(InputError, match=r"found no tensors under 'ema', .* set checkpoints.python_path") as error:
        collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True)
    assert "\n" not in str(error.value)
    folders = [str(code[1])]
    logger = logging.getLogger("lcsc")
    logger.addHandler(caplog.handler)
    try:
        bank = collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True, python_path=folders)
    finally:
        logger.removeHandler(caplog.handler)
    assert count == bank.P
    assert "found 0 tensors without the code base's classes" in caplog.text
    assert "the merged checkpoint will be a safetensors file" in caplog.text
    export_merged(bank, np.array([[0.0, 1.0]]), output=tmp_path / "m.safetensors", native=tmp_path / "native")
    assert (tmp_path / "native" / "network-snapshot-000200.safetensors").is_file()


def test_what_stand_ins_cannot_read_at_all_is_read_with_the_code(tmp_path: Path, code: Any) -> None:
    """Their unpickling fails where a class is called with what stands for another one's result."""
    save_run(tmp_path / "run", code[0].Denoiser)
    for path in (tmp_path / "run").glob("network-snapshot-??????.pkl"):
        content = pickle.loads(path.read_bytes())
        # Protocol 2 has no bytes: storages go through a codec, which is a function like any other.
        path.write_bytes(pickle.dumps(content, protocol=2))
    message = r"cannot be read as a pickled module \(.*\); .* or need its classes, set checkpoints.python_path"
    with pytest.raises(InputError, match=message) as error:
        collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True)
    assert "\n" not in str(error.value)
    folders = [str(code[1])]
    bank = collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True, python_path=folders)
    found = bank.restore_names(bank.unflatten(bank.checkpoint(1)))
    assert all(torch.equal(found[name], tensor) for name, tensor in content["ema"].state_dict().items())


def test_a_parameter_with_something_attached_is_read_and_a_program_is_not(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 3)
    module.weight.note = "attached"  # type: ignore[attr-defined]
    torch.save({"net": module}, tmp_path / "state.pt")
    found = module_state(read_inert(tmp_path / "state.pt").content["net"])
    assert found.keys() == {"weight", "bias"}
    assert torch.equal(found["weight"], module.weight)
    with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
        archive.writestr("program/constants.pkl", b"")
    with pytest.raises(InputError, match="found a TorchScript program"):
        read_inert(tmp_path / "program.pt")


def test_pickles_are_not_read_without_trust_nor_run_by_stand_ins(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "trace",)

    (tmp_path / "run").mkdir()
    for step in (1, 2):
        path = tmp_path / "run" / f"network-snapshot-{step}.pkl"
        path.write_bytes(pickle.dumps({"ema": Hostile()}))
    with pytest.raises(InputError, match=r"can execute any code .*trust_pickle: true"):
        collect(tmp_path / "run", tmp_path / "bank")
    with pytest.raises(InputError, match="found no tensors under 'ema'"):
        collect(tmp_path / "run", tmp_path / "bank", trust_pickle=True)
    assert not (tmp_path / "trace").exists()
    for step in (1, 2):
        (tmp_path / "run" / f"network-snapshot-{step}.pkl").write_bytes(b"\x80\x04\x95")
    with pytest.raises(InputError, match=r"cannot be read as a pickled module .* truncated") as error:
        collect(tmp_path / "run", tmp_path / "bank", trust_pickle=True)
    assert "\n" not in str(error.value)
