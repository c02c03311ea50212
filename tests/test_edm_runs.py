"""Runs of EDM and EDM2: modules that the tests pickle from classes of their own."""

from __future__ import annotations

import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lcsc.checkpoints.inert_pickle import module_state, read_inert
from lcsc.collection import collect
from lcsc.errors import InputError
from lcsc.export import export_merged

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

def _reconstruct_persistent_obj(meta):
    raise RuntimeError("its source would be executed here")

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
        torch.save({"net": module, "optimizer_state": {"lr": 1}}, folder / f"training-state-{step:06d}.pt")
        last["raw"] = module.state_dict()
    return last


@pytest.mark.parametrize("kind", ["Denoiser", "Persistent"])
def test_tensors_come_out_without_the_classes(tmp_path: Path, code: Any, kind: str) -> None:
    expected = save_run(tmp_path / "run", getattr(code[0], kind))
    # Each file is read by a process of its own, which imports PyTorch: one track of the second kind is enough.
    tracks = expected if kind == "Denoiser" else {"raw": expected["raw"]}
    for track, state in tracks.items():
        bank = collect(tmp_path / "run", tmp_path / track, track=track, trust_pickle=True)
        assert (bank.steps, bank.prefix) == ([100, 200], "model.")
        found = bank.restore_names(bank.unflatten(bank.checkpoint(1)))
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    native = tmp_path / "native"
    export_merged(bank, np.array([[0.0, 1.0]]), output=tmp_path / "m.safetensors", native=native)
    assert load_file(native / "training-state-000200.safetensors").keys() == state.keys()


@pytest.mark.parametrize(("kind", "count"), [("Odd", 3), ("Partly", 9)])
def test_modules_that_need_their_code(tmp_path: Path, code: Any, kind: str, count: int) -> None:
    """Also where only a module within does: its tensors must not go missing without a word."""
    save_run(tmp_path / "run", getattr(code[0], kind))
    with pytest.raises(InputError, match=r"found no tensors under 'ema', .* set checkpoints.python_path") as error:
        collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True)
    assert "\n" not in str(error.value)
    folders = [str(code[1])]
    assert count == collect(tmp_path / "run", tmp_path / "bank", track="ema", trust_pickle=True, python_path=folders).P


def test_a_parameter_with_something_attached_is_read_and_a_program_is_not(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 3)
    module.weight.note = "attached"  # type: ignore[attr-defined]
    torch.save({"net": module}, tmp_path / "state.pt")
    found = module_state(read_inert(tmp_path / "state.pt")["net"])
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
