"""Runs of Lightning: the whole module's state in a dictionary."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import published, same_form

from lcsc.checkpoints import RunFolder, find_run
from lcsc.collection import collect, list_checkpoints
from lcsc.errors import InputError
from lcsc.export import export_merged, merge_from_recipe, read_recipe

LAST, NETWORK = np.array([[0.0, 0.0, 1.0]]), "imagenet64-iddpm"
NAME = "epoch=3-step=3000.ckpt"


class Schedule:
    """A class that a checkpoint should not hold."""


def state_of(step: int, layout: str) -> dict[str, torch.Tensor]:
    if layout == "net":
        return published(NETWORK, step, prefix="net.")
    if layout == "bare":
        return published(NETWORK, step)
    own, average = (published(NETWORK, step + number) for number in range(2))
    state = {f"model.diffusion_model.{name}": tensor for name, tensor in own.items()}
    state |= {"first_stage_model.conv.weight": torch.ones(2), "betas": torch.linspace(0, 1, 5)}
    if layout == "latent":  # latent diffusion's averages have names without dots
        twins = {f"model_ema.diffusion_model{name.replace('.', '')}": tensor for name, tensor in average.items()}
        return state | twins | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(step)}
    return state | {f"ema_model.diffusion_model.{name}": tensor for name, tensor in average.items()}


def save_run(folder: Path, layout: str, **more: Any) -> Path:
    folder.mkdir()
    for epoch, step in enumerate((1000, 2000, 3000), 1):
        content = {"epoch": epoch, "global_step": step, "pytorch-lightning_version": "2.4.0", "loops": {"fit": {}}}
        content |= {"state_dict": state_of(step, layout), "optimizer_states": [{"state": {0: {"step": 5}}}]}
        content |= {"hyper_parameters": {"betas": (0.9, 0.99)}, **more}
        torch.save(content, folder / f"epoch={epoch}-step={step}.ckpt")
    torch.save(content, folder / "last.ckpt")
    return folder


@pytest.mark.parametrize("layout", ["net", "bare", "latent", "twins"])
@pytest.mark.parametrize("track", ["raw", "ema"])
def test_the_dictionary_comes_back_with_the_merged_weights(tmp_path: Path, layout: str, track: str) -> None:
    averaged = layout in ("latent", "twins")
    run = save_run(tmp_path / "run", layout)
    if track == "ema" and not averaged:
        with pytest.raises(InputError, match=r"track 'ema': not found; .* raw \(3\)"):
            collect(run, tmp_path / "bank", track=track)
        return
    bank = collect(run, tmp_path / "bank", track=track)
    assert bank.steps == [1000, 2000, 3000]
    expected = published(NETWORK, 3000 + (track == "ema"), prefix="diffusion_model." if averaged else "")
    assert {entry.name for entry in bank.tensors} == expected.keys()
    recipe = export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    assert recipe["container"]["dropped"][0] == "optimizer_states"
    path = tmp_path / "native" / NAME
    source, merged = (torch.load(place, weights_only=True) for place in (run / NAME, path))
    assert merged.keys() == source.keys() - {"optimizer_states"}
    assert merged["hyper_parameters"] == {"betas": (0.9, 0.99)}
    assert same_form(merged["state_dict"], source["state_dict"])
    prefix = {"net": "net.", "bare": ""}.get(layout, "model.")
    for name, tensor in expected.items():
        assert torch.equal(merged["state_dict"][prefix + name], tensor)
        if averaged:
            bare = name.replace(".", "") if layout == "latent" else name
            bare = bare.replace("diffusion_model.", "diffusion_model")
            twin = f"model_ema.{bare}" if layout == "latent" else f"ema_model.{name}"
            assert torch.equal(merged["state_dict"][twin], tensor)
    merge_from_recipe(read_recipe(path), bank, tmp_path / "again.ckpt")
    assert (tmp_path / "again.ckpt").read_bytes() == path.read_bytes()


def test_the_last_file_is_not_counted_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = save_run(tmp_path / "run", "net")
    logger = logging.getLogger("lcsc")
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, "lcsc")
    try:
        lines = list_checkpoints(run).splitlines()
    finally:
        logger.removeHandler(caplog.handler)
    assert lines[:2] == ["3 checkpoints, track raw, prefix none", "format lightning"]
    assert "last.ckpt: left out, since another file has its step 3000, too" in caplog.text


def test_another_part_of_the_module(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "latent")
    bank = collect(run, tmp_path / "bank", state_key="state_dict.model.diffusion_model")
    assert bank.tensors[0].name.startswith("input_blocks.0.0")
    with pytest.raises(InputError, match=r"state_key 'nothing': found betas, first_stage_model, model, model_ema"):
        collect(run, tmp_path / "bank", state_key="nothing")


def change_states(run: Path, change: Any) -> None:
    for path in run.glob("*.ckpt"):
        content = torch.load(path, weights_only=True)
        change(content["state_dict"], content["global_step"])
        torch.save(content, path)


def test_a_weight_without_an_average_is_not_taken_from_the_network(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "twins")
    change_states(run, lambda state, step: state.update({"model.frequencies": torch.ones(3)}))
    assert "frequencies" in {entry.name for entry in collect(run, tmp_path / "constant", track="ema").tensors}
    change_states(run, lambda state, step: state.update({"model.head": torch.full((3,), float(step))}))
    message = r"ckpt: found no average of 1 floating-point .* 'model.head'; .*track: raw"
    with pytest.raises(InputError, match=message) as error:
        collect(run, tmp_path / "bank", track="ema")
    assert "\n" not in str(error.value)
    assert collect(run, tmp_path / "bank", track="raw").K == 3


def test_network_and_average_keep_types_of_their_own(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "twins")
    change_states(run, lambda state, step: state.update({k: v.half() for k, v in state.items() if k[:6] == "model."}))
    bank = collect(run, tmp_path / "bank", track="ema")
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    source, merged = (torch.load(place / NAME, weights_only=True) for place in (run, tmp_path / "native"))
    assert same_form(merged["state_dict"], source["state_dict"])


def test_several_networks_in_a_module_are_not_chosen_between(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "net")
    change_states(run, lambda state, step: state.update({"model.head": torch.full((3,), float(step))}))
    with pytest.raises(InputError, match=r"ckpt: found the parts model, net, .*state_key") as error:
        collect(run, tmp_path / "bank")
    assert "\n" not in str(error.value)
    assert collect(run, tmp_path / "bank", state_key="model").P == 3
    change_states(run, lambda state, step: state.update({"model_ema.head": torch.full((3,), step + 0.5)}))
    assert collect(run, tmp_path / "averaged", track="raw").P == 3


def test_a_run_that_was_moved(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "net")
    bank = collect(run, tmp_path / "bank")
    recipe = export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path)
    run.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"step=3000.ckpt: not found; .* with --source") as error:
        merge_from_recipe(recipe, bank, tmp_path / "again.ckpt")
    assert "\n" not in str(error.value)
    merge_from_recipe(recipe, bank, tmp_path / "again.ckpt", tmp_path / "elsewhere")
    assert (tmp_path / "again.ckpt").read_bytes() == (tmp_path / NAME).read_bytes()
    (tmp_path / "elsewhere" / NAME).write_bytes((tmp_path / "elsewhere" / "epoch=1-step=1000.ckpt").read_bytes())
    with pytest.raises(InputError, match="found another file than the one collected"):
        merge_from_recipe(recipe, bank, tmp_path / "again.ckpt", tmp_path / "elsewhere")


def test_files_with_objects_are_refused_with_a_way_out(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "net", hparams=Schedule())
    with pytest.raises(InputError, match=r"ckpt: found objects of a class \('.*Schedule'\) .* refused; save") as error:
        find_run(RunFolder(run))
    assert "\n" not in str(error.value)


def test_steps_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"global_step: found None, expected a whole number"):
        find_run(RunFolder(save_run(tmp_path / "run", "net", global_step=None)))
    torch.save({"state_dict": 3, "pytorch-lightning_version": "2"}, tmp_path / "run" / "last.ckpt")
    with pytest.raises(InputError, match=r"ckpt: (found no 'state_dict'|global_step)"):
        find_run(RunFolder(tmp_path / "run"))
