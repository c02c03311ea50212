"""Every reader against every kind of bad file: one clear line, nothing written, nothing executed."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lcsc.checkpoints import edm, pickle_worker
from lcsc.collection import collect, list_checkpoints
from lcsc.errors import InputError
from lcsc.training.recorder import Recorder

STEPS = (1000, 2000, 3000)
STEM = "diffusion_pytorch_model"


def network(seed: int, width: int = 5, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.Linear(width, 2)).to(dtype)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def save_torch(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def save_pickle(path: Path, content: Any) -> None:
    path.write_bytes(pickle.dumps(content))


def save_safe(path: Path, content: dict[str, torch.Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(content, path)


def save_shards(path: Path, content: dict[str, torch.Tensor]) -> None:
    places = {name: f"{STEM}-0000{1 + (name[0] == '1')}-of-00002.safetensors" for name in content}
    for shard in set(places.values()):
        save_safe(path.parent / shard, {name: content[name] for name in content if places[name] == shard})
    (path.parent / f"{STEM}.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


@dataclass(frozen=True)
class Case:
    """A family: where the file of a step is, how it is written, and a second name for the same step."""

    file: str
    again: str
    save: Callable[[Path, Any], None]
    content: Callable[[nn.Module, int], Any] = lambda model, step: state(model)
    trust_pickle: bool = False

    def write(self, folder: Path, step: int, model: nn.Module, name: str | None = None) -> Path:
        path = folder / (name or self.file).format(step)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent != folder:
            (path.parent / "config.json").write_text("{}")
        self.save(path, self.content(model, step))
        return path


def ddim_list(model: nn.Module, step: int) -> list[Any]:
    return [state(model), {"state": {}}, step // 1000, step, state(model)]


def lightning_dictionary(model: nn.Module, step: int) -> dict[str, Any]:
    tensors = {f"net.{name}": tensor for name, tensor in state(model).items()}
    return {"pytorch-lightning_version": "2.4.0", "epoch": 1, "global_step": step, "state_dict": tensors}


SHARD = f"{STEM}-00002-of-00002.safetensors"


def part(file: str, save: Callable[[Path, Any], None]) -> Case:
    """A file of diffusers' folders."""
    return Case(f"checkpoint-{{}}/unet/{file}", f"checkpoint-0{{}}/unet/{file}", save)


def pickled(file: str, key: str, save: Callable[[Path, Any], None]) -> Case:
    """A file of EDM's."""
    return Case(file.format("{:06d}"), file.format("{}"), save, lambda model, step: {key: model}, trust_pickle=True)


CASES = {
    "openai": Case("model{:06d}.pt", "model{}.pt", save_torch),
    "ddim": Case("ckpt_{}.pth", "ckpt_0{}.pth", save_torch, ddim_list),
    "edm-pkl": pickled("network-snapshot-{}.pkl", "ema", save_pickle),
    "edm-pt": pickled("training-state-{}.pt", "net", save_torch),
    "diffusers": part(f"{STEM}.safetensors", save_safe),
    "diffusers-bin": part(f"{STEM}.bin", save_torch),
    "diffusers-shards": part(SHARD, save_shards),
    "lightning": Case("epoch=1-step={}.ckpt", "copy-{}.ckpt", save_torch, lightning_dictionary),
    "plain-pt": Case("step-{:06d}.pt", "copy-{}.pt", save_torch),
    "plain-safetensors": Case("step-{:06d}.safetensors", "copy-{}.safetensors", save_safe),
}


def without_processes(task: str, words: list[str]) -> str:
    """What the worker says, without a process for each file."""
    assert task == "read"
    try:
        pickle_worker.read(Path(words[0]), words[1], Path(words[2]))
    except Exception as error:
        return "".join(traceback.format_exception_only(error)).strip().splitlines()[-1].removeprefix(edm._OURS)
    return ""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each family, made once, and two recorded banks."""
    folder = tmp_path_factory.mktemp("runs")
    for name, case in CASES.items():
        for step in STEPS:
            case.write(folder / name, step, network(step))
    for seed, bank in enumerate(("bank", "other-bank")):
        with Recorder(folder / bank, every=1) as recorder:
            for step in STEPS:
                recorder(step, network(step + seed))
    return folder


def copied(source: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A run that a test may spoil; temporary files stand beside it."""
    (folder / "scratch").mkdir()
    patch.setattr(tempfile, "tempdir", str(folder / "scratch"))
    patch.setattr(edm, "_worker", without_processes)
    return Path(shutil.copytree(source, folder / "run"))


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(run: Path, culprit: Path, message: str, **choice: Any) -> None:
    """Collecting and listing both say ``message`` of ``culprit``, and a way out, in one line; no file is made."""
    before = files_of(run.parent)
    for work in (lambda: collect(run, run.parent / "bank", **choice), lambda: list_checkpoints(run, **choice)):
        with pytest.raises(InputError) as error:
            work()
        line = str(error.value)
        assert "\n" not in line
        assert re.search(message, line)
        assert re.search(r"; .|copy it again", line)
        assert str(culprit) in line
        assert line.count("copy it again") < 2
    assert files_of(run.parent) == before


class Hostile:
    """Unpickling it would make the file ``trace`` in the folder of the test."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("trace"),)


def cut(share: float) -> Callable[[Case, Path, Path, int], str]:
    def spoil(case: Case, run: Path, path: Path, step: int) -> str:
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        return "cannot be read as .* truncated"

    return spoil


def foreign(content: bytes) -> Callable[[Case, Path, Path, int], str]:
    def spoil(case: Case, run: Path, path: Path, step: int) -> str:
        path.write_bytes(content)
        return "cannot be read as .* truncated"

    return spoil


def code(save: Callable[[Path, Any], None], content: Mapping[str, Any]) -> Callable[[Case, Path, Path, int], str]:
    def spoil(case: Case, run: Path, path: Path, step: int) -> str:
        save(path, content)
        return (
            "found no tensors under" if case.trust_pickle else r"\('(getattr|pathlib.*)'\).* would .*execute.*refused"
        )

    return spoil


def mixed(model: Callable[[], nn.Module], message: str) -> Callable[[Case, Path, Path, int], str]:
    def spoil(case: Case, run: Path, path: Path, step: int) -> str:
        if path.parent != run:
            shutil.rmtree(path.parent)
        case.write(run, step, model())
        return message

    return spoil


def repeated(case: Case, run: Path, path: Path, step: int) -> str:
    case.write(run, step, network(0), case.again)
    return rf"found step {step}, which .* has too"


def not_a_number() -> nn.Module:
    model = network(0)
    model[1].weight.data[0, 0] = float("nan")
    return model


NAMES = "tensor '.*' is missing|found an extra tensor"
FAULTS = {
    "empty": cut(0.0),
    "half": cut(0.5),
    "almost-whole": cut(0.97),
    "pointer": foreign(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
    "page": foreign(b"<!doctype html><title>404</title>"),
    "archive": foreign(b"PK\x03\x04 and nothing else"),
    "pickle": foreign(b"\x80\x04no pickle"),
    "code": code(save_pickle, {"ema": Hostile(), "net": Hostile()}),
    "code-archive": code(save_torch, {"ema": Hostile(), "net": Hostile()}),
    "code-beside-weights": code(save_torch, {**state(network(0)), "hook": Hostile()}),
    "more-tensors": mixed(lambda: nn.Sequential(*network(0), nn.Linear(2, 2)), NAMES),
    "fewer-tensors": mixed(lambda: network(0)[:1], NAMES),
    "other-shape": mixed(lambda: network(0, width=4), "found shape"),
    "other-dtype": mixed(lambda: network(0, dtype=torch.float16), "found dtype"),
    "not-a-number": mixed(not_a_number, "found 1 of 10 values NaN or infinite"),
    "repeated-step": repeated,
}


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("family", CASES)
def test_a_bad_file(
    family: str, fault: str, place: int, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whichever place: the last file tells the family and its tracks, the first one what the others should be."""
    case, run = CASES[family], copied(runs / family, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    path = run / case.file.format(STEPS[place])
    message = FAULTS[fault](case, run, path, STEPS[place])
    culprit = path if path.parent == run else path.parent
    refused(run, culprit, message, **({"trust_pickle": True} if case.trust_pickle else {}))


@pytest.mark.parametrize("family", [*CASES, "bank"])
@pytest.mark.parametrize("named", [False, True])
def test_an_empty_folder(family: str, named: bool, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    choice = {"format": family.partition("-")[0], "trust_pickle": True} if named else {}
    refused(tmp_path / "run", tmp_path / "run", "found no checkpoints|index.json: not found; expected", **choice)


@pytest.mark.parametrize("name", ["segment-0000.h5", "segment-0002.h5", "index.json"])
@pytest.mark.parametrize("fault", ["empty", "half", "page", "code", "gone", "other run", "repeated step"])
def test_a_bad_bank(name: str, fault: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copied(runs / "bank", tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    path, culprit = run / name, run / name
    if fault == "gone":
        path.unlink()
    elif fault == "other run":
        shutil.copy(runs / "other-bank" / name, path)
        culprit = run if name == "index.json" else path
    elif fault == "repeated step":
        path = culprit = run / "index.json"
        path.write_text(path.read_text().replace("2000", "1000"))
    elif fault == "code":
        save_pickle(path, Hostile())
    else:
        path.write_bytes({"empty": b"", "half": path.read_bytes()[:900], "page": b"<!doctype html>"}[fault])
    refused(run, culprit, "found|cannot be read|does not match its checksum")
