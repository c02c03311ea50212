"""Runs of diffusers' and accelerate's training scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published import published, same_form
from runs import save, weights
from safetensors.torch import load_file, save_file

from lcsc.collection import collect, list_checkpoints
from lcsc.errors import InputError, LcscError
from lcsc.export import export_merged, merge_from_recipe, read_recipe

LAST, NETWORK, STEM = np.array([[0.0, 0.0, 1.0]]), "imagenet64-iddpm", "diffusion_pytorch_model"
CONFIG = '{\n  "_class_name": "UNet2DModel",\n  "sample_size": 64\n}'


def save_part(folder: Path, state: dict[str, torch.Tensor], kind: str) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(CONFIG)
    if kind == "bin":
        torch.save(state, folder / f"{STEM}.bin")
    elif kind == "safetensors":
        save_file(state, folder / f"{STEM}.safetensors", {"format": "pt"})
    else:
        places = {name: f"{STEM}-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(state)}
        for shard in set(places.values()):
            save_file({name: state[name] for name in state if places[name] == shard}, folder / shard, {"format": "pt"})
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        (folder / f"{STEM}.safetensors.index.json").write_text(json.dumps(index))


def save_run(folder: Path, kind: str = "safetensors", parts: tuple[str, ...] = ("unet", "unet_ema")) -> Path:
    for step in (500, 1000, 1500):
        for number, part in enumerate(parts):
            save_part(folder / f"checkpoint-{step}" / part, published(NETWORK, step + number), kind)
        (folder / f"checkpoint-{step}" / "optimizer.bin").write_bytes(b"not read")
    (folder / "logs").mkdir()
    return folder


@pytest.mark.parametrize("kind", ["safetensors", "bin", "shards"])
@pytest.mark.parametrize("track", ["raw", "ema"])
def test_the_folder_comes_back_as_it_was(tmp_path: Path, kind: str, track: str) -> None:
    run = save_run(tmp_path / "run", kind)
    bank = collect(run, tmp_path / "bank", track=track)
    part = "unet" if track == "raw" else "unet_ema"
    assert (bank.steps, bank.checkpoints[-1].source) == ([500, 1000, 1500], f"checkpoint-1500/{part}")
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    made = tmp_path / "native" / "checkpoint-1500" / part
    expected = {path.name.replace(".bin", ".safetensors") for path in (run / "checkpoint-1500" / part).iterdir()}
    assert {path.name for path in made.iterdir()} == expected
    assert (made / "config.json").read_text() == CONFIG
    merged = {name: tensor for path in made.glob("*.safetensors") for name, tensor in load_file(path).items()}
    source = published(NETWORK, 1500 + (track == "ema"))
    assert same_form(merged, source)
    assert all(torch.equal(merged[name], tensor) for name, tensor in source.items())
    merge_from_recipe(read_recipe(made), bank, tmp_path / "again")
    assert {p.name: p.read_bytes() for p in made.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()
    }


@pytest.mark.parametrize("kind", ["safetensors", "shards"])
def test_diffusers_loads_the_merged_folder(tmp_path: Path, kind: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    settings = {"sample_size": 8, "block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    settings |= {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    for step in (1, 2, 3):
        torch.manual_seed(step)
        network = diffusers.UNet2DModel(**settings)
        shard = {"max_shard_size": "50KB"} if kind == "shards" else {}
        network.save_pretrained(tmp_path / "run" / f"checkpoint-{step}" / "unet", **shard)
    bank = collect(tmp_path / "run", tmp_path / "bank")
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    made = diffusers.UNet2DModel.from_pretrained(tmp_path / "native" / "checkpoint-3" / "unet")
    assert all(torch.equal(tensor, made.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_weights_that_accelerate_wrote_by_itself(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path / "run" / f"checkpoint_{step}" / "model.safetensors", weights(step))
    bank = collect(tmp_path / "run", tmp_path / "bank")
    assert (bank.steps, bank.track) == ([1, 2, 3], "raw")
    export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path / "native")
    merged = load_file(tmp_path / "native" / "checkpoint_3" / "model.safetensors")
    assert all(torch.equal(merged[name], tensor) for name, tensor in weights(3).items())


def test_what_is_listed(tmp_path: Path) -> None:
    lines = list_checkpoints(save_run(tmp_path / "run")).splitlines()
    assert lines[:2] == ["3 checkpoints, track raw, prefix none", "format diffusers; other tracks: ema (3)"]


def test_parts_with_other_names(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", parts=("prior", "decoder"))
    with pytest.raises(InputError, match="found the parts decoder, prior, expected one; name it with state_key"):
        collect(run, tmp_path / "bank")
    assert collect(run, tmp_path / "bank", state_key="prior").checkpoints[0].source == "checkpoint-500/prior"


def test_indices_that_do_not_fit(tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", "shards")
    folder = run / "checkpoint-1000" / "unet"
    index = folder / f"{STEM}.safetensors.index.json"
    record = json.loads(index.read_text())
    name = next(iter(record["weight_map"]))
    shard = folder / record["weight_map"][name]

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message) as error:
            collect(run, tmp_path / "bank")
        assert "\n" not in str(error.value)

    def changed(places: object) -> None:
        index.write_text(json.dumps({"weight_map": places}))

    changed({**record["weight_map"], "more": shard.name})
    refused(r"index.json: tensor 'more' is missing in the shards")
    changed({key: place for key, place in record["weight_map"].items() if key != name})
    refused(r"index.json: tensor '.*' is missing in the index")
    changed({**record["weight_map"], name: "../../../other.safetensors"})
    refused(r"found shard '../../../other.safetensors', expected a file beside the index")
    changed([])
    refused("found no 'weight_map'")
    changed(record["weight_map"])
    shard.unlink()
    refused(rf"{shard.name}: not found; expected a shard")
    index.write_text("{")
    refused("cannot be read as an index of shards")


def test_a_merged_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = save_run(tmp_path / "run", "shards", parts=("unet",))
    bank = collect(run, tmp_path / "bank")
    recipe = export_merged(bank, LAST, output=tmp_path / "m.safetensors", native=tmp_path)
    made = tmp_path / "checkpoint-1500" / "unet"
    before = {path.name: path.read_bytes() for path in made.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lcsc.checkpoints.diffusers_folders.write_text", full)
        other = {**recipe, "coefficients": [[1.0, 0.0, 0.0]]}
        for place in (made, tmp_path / "new"):
            with pytest.raises(LcscError, match=r"cannot be written \(No space left on device\)"):
                merge_from_recipe(other, bank, place)
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    assert not (tmp_path / "new").exists()
    merge_from_recipe(other, bank, made)
    after = {path.name: path.read_bytes() for path in made.iterdir()}
    assert after.keys() == before.keys()
    assert after != before
    (made / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"unet: found 'mine.txt' in it, expected an empty folder"):
        merge_from_recipe(recipe, bank, made)
    assert (made / "mine.txt").read_text() == "mine"
    assert not list(tmp_path.rglob("*.part"))
