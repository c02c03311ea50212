"""Runs of the DDIM code base: lists of model, optimiser, epoch, step and EMA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import published, same_form

from lcsc.checkpoints import RunFolder, find_run
from lcsc.checkpoints.averages import check_not_averaged
from lcsc.collection import collect, list_checkpoints
from lcsc.errors import InputError
from lcsc.export import export_merged, merge_from_recipe, read_recipe

NETWORK = "cifar10-ddpm"
LAST = np.array([[0.0, 0.0, 1.0]])


def save_run(folder: Path, parallel: bool = True, ema: bool = True, buffer: bool = False) -> Path:
    folder.mkdir()
    for step in (5000, 10000, 15000):
        model = published(NETWORK, step, prefix="module." if parallel else "")
        if buffer:
            model["module.sigmas"] = torch.ones(3)
        entries: list[Any] = [model, {"state": {}, "param_groups": [{"lr": 1e-4}]}, step // 5000, step]
        entries += [published(NETWORK, step + 1)] if ema else []
        torch.save(entries, folder / f"ckpt_{step}.pth")
    torch.save(entries, folder / "ckpt.pth")
    return folder


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("track", ["raw", "ema"])
def test_the_merged_weights_are_what_sampling_loads(tmp_path: Path, parallel: bool, track: str) -> None:
    run = save_run(tmp_path / "run", parallel)
    bank = collect(run, tmp_path / "bank", track=track)
    assert (bank.steps, bank.prefix) == ([5000, 10000, 15000], "module." if parallel else "")
    assert bank.tensors[0].name == "conv_in.bias"
    recipe = export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    path = tmp_path / "native" / "ckpt_15000.pth"
    source, merged = (torch.load(place, weights_only=True) for place in (run / path.name, path))
    assert (len(merged), merged[1], merged[2:4]) == (5, {}, [3, 15000])
    assert same_form(merged[0], source[0])
    assert same_form(merged[4], source[4])
    expected = published(NETWORK, 15000 + (track == "ema"))
    for name, tensor in expected.items():
        assert torch.equal(merged[0]["module." + name if parallel else name], tensor)
        assert torch.equal(merged[4][name], tensor)
    assert recipe["container"]["dropped"] == ["optimiser state", "ema" if track == "raw" else "raw"]
    merge_from_recipe(read_recipe(path), bank, tmp_path / "again.pth")
    assert (tmp_path / "again.pth").read_bytes() == path.read_bytes()


def test_a_run_without_averages_gets_none(tmp_path: Path) -> None:
    bank = collect(save_run(tmp_path / "run", ema=False), tmp_path / "bank")
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path)
    assert len(torch.load(tmp_path / "ckpt_15000.pth", weights_only=True)) == 4


def test_names_of_an_average_that_was_saved_in_parallel(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run")
    for path in run.glob("ckpt_*.pth"):
        entries = torch.load(path, weights_only=True)
        entries[4] = {f"module.{name}": tensor for name, tensor in entries[4].items()}
        torch.save(entries, path)
    export_merged(collect(run, tmp_path / "bank"), LAST, output=tmp_path / "m.safetensors", native=tmp_path)
    assert same_form(torch.load(tmp_path / "ckpt_15000.pth", weights_only=True)[4], entries[4])


def test_buffers_that_the_average_lacks_come_from_the_model(tmp_path: Path) -> None:
    bank = collect(save_run(tmp_path / "run", buffer=True), tmp_path / "bank", track="ema")
    assert bank.prefix == "module."
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path)
    merged = torch.load(tmp_path / "ckpt_15000.pth", weights_only=True)
    assert torch.equal(merged[0]["module.sigmas"], torch.ones(3))
    assert "sigmas" not in merged[4]


def test_a_weight_that_the_average_lacks_is_not_taken_from_the_model(tmp_path: Path) -> None:
    """Also not silently: the network would be a mixture of averaged and raw weights."""
    run = save_run(tmp_path / "run")
    for path in run.glob("ckpt_*.pth"):
        entries = torch.load(path, weights_only=True)
        del entries[4]["conv_in.weight"], entries[4]["conv_in.bias"]
        torch.save(entries, path)
    message = r"ckpt_5000.pth: found no average of 2 floating-point .* 'conv_in.*track: raw"
    with pytest.raises(InputError, match=message) as error:
        collect(run, tmp_path / "bank", track="ema")
    assert "\n" not in str(error.value)
    assert collect(run, tmp_path / "bank", track="raw").K == 3


def test_counters_statistics_and_constants_may_lack_an_average() -> None:
    own = {"n.running_mean": torch.ones(2), "n.count": torch.tensor(1), "sigmas": torch.ones(3), "w": torch.ones(1)}
    after = {name: 2 * tensor for name, tensor in own.items()} | {"sigmas": torch.ones(3)}
    check_not_averaged(Path("a.pth"), own, {"w"}, lambda: after)
    with pytest.raises(InputError, match=r"a.pth: found no average of 1 floating-point .* 'w'"):
        check_not_averaged(Path("a.pth"), own, set(), lambda: after)


def test_what_is_listed(tmp_path: Path) -> None:
    lines = list_checkpoints(save_run(tmp_path / "run")).splitlines()
    assert lines[:2] == ["3 checkpoints, track raw, prefix module.", "format ddim; other tracks: ema (3)"]
    assert not any(line.endswith("ckpt.pth") for line in lines)


def test_the_step_may_come_from_the_content(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run")
    for place, path in enumerate(sorted(run.glob("ckpt_*.pth"), reverse=True)):
        path.rename(run / f"save-{place}.pth")
    found = find_run(RunFolder(run, "save-*.pth"))
    assert (found.family.name, [file.step for file in found.files]) == ("ddim", [5000, 10000, 15000])
    (run / "save-0.pth").rename(run / "ckpt_77.pth")
    (run / "save-1.pth").rename(run / "ckpt_78.pth")
    with pytest.raises(InputError, match=r"ckpt_77.pth: found step \d+ in it, expected 77 as in its name"):
        collect(run, tmp_path / "bank")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{}, {}], "found a list of 2, expected DDIM's list"),
        ([{"a": torch.ones(1)}, {}, "one", 10000], r"entry 2 \(epoch\): found str, expected a whole number"),
        ([published(NETWORK, 0), {}, 2, 10000, {"b": torch.ones(1)}], "EMA tensor 'b': not found in the model"),
        ([published(NETWORK, 0), {}, 2, 10000], "found no EMA, expected a fifth entry"),
        ({"a": torch.ones(1)}, "found dict, expected DDIM's list"),
    ],
)
def test_files_that_do_not_belong(tmp_path: Path, content: object, message: str) -> None:
    run = save_run(tmp_path / "run")
    torch.save(content, run / "ckpt_10000.pth")
    with pytest.raises(InputError, match=rf"ckpt_10000\.pth: {message}") as error:
        collect(run, tmp_path / "bank", track="ema")
    assert "\n" not in str(error.value)
