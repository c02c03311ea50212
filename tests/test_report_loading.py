"""The lines that a report gives to load the merged checkpoint: they are run on files as the export writes them."""

import json
import pickle

import pytest
import torch
from runs import make_bank
from safetensors.torch import save_file

from lcsc.checkpoints.ddim import write as write_ddim
from lcsc.report.loading import NativeFile, loading, native_file

WANTED = torch.nn.Linear(3, 2)
STATE = WANTED.state_dict()


def load(snippet):
    """The network after the lines were run with a fresh one called ``network``."""
    names = {"network": torch.nn.Linear(3, 2)}
    exec(compile(snippet.code, "snippet", "exec"), names)
    return names["network"].state_dict()


def is_wanted(state):
    return all(torch.equal(state[name], value) for name, value in STATE.items())


def test_safetensors_need_nothing_else(tmp_path):
    path = tmp_path / "merged.safetensors"
    save_file(STATE, path)
    (snippet,) = loading(str(path), None)
    assert is_wanted(load(snippet))


def save_as(kind, folder):
    """A file of the format ``kind``, and what the bank's index says of its container."""
    path = folder / "model000040.pt"
    if kind == "ddim":
        write_ddim(path, STATE, {"epoch": 1, "step": 2})
        return path, {"format": "ddim"}
    if kind == "lightning":
        torch.save({"state_dict": STATE, "epoch": 1}, path)
        return path, {"format": "lightning"}
    if kind == "edm":
        with path.with_suffix(".pkl").open("wb") as file:
            pickle.dump({"ema": WANTED}, file)
        return path.with_suffix(".pkl"), {"format": "edm", "key": "ema"}
    if kind == "edm, training state":
        torch.save({"net": WANTED}, path)
        return path, {"format": "edm", "key": "net"}
    key = "inner" if kind == "nested" else None
    torch.save({"inner": STATE} if key else STATE, path)
    return path, {"format": "torch", "state_key": key}


@pytest.mark.parametrize("kind", ["flat", "nested", "ddim", "lightning", "edm", "edm, training state"])
def test_a_file_in_the_run_s_own_format_is_loaded_by_its_lines(tmp_path, kind):
    path, container = save_as(kind, tmp_path)
    _, snippet = loading("merged.safetensors", NativeFile(str(path), container))
    assert is_wanted(load(snippet))


def test_a_folder_of_diffusers_names_the_class_of_its_config():
    container = {"format": "diffusers", "config": json.dumps({"_class_name": "UNet2DConditionModel"})}
    _, snippet = loading("merged.safetensors", NativeFile("native/checkpoint-9/unet", container))
    assert snippet.code == (
        "from diffusers import UNet2DConditionModel\n\n"
        "network = UNet2DConditionModel.from_pretrained('native/checkpoint-9/unet')"
    )


def test_the_native_file_is_the_one_that_the_export_named(tmp_path):
    make_bank(tmp_path)
    bank, merged = tmp_path / "bank" / "index.json", tmp_path / "export" / "merged.safetensors"
    assert native_file(str(merged), str(bank)) is None
    place = merged.parent / "native" / "step-000040.safetensors"
    place.parent.mkdir(parents=True)
    assert native_file(str(merged), str(bank)) is None
    place.touch()
    found = native_file(str(merged), str(bank))
    assert found == NativeFile(place.as_posix(), found.container)
    assert found.container["format"] == "safetensors"
