"""Merged checkpoints and their recipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import make_bank, save_run, weights

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.checkpoints import format_of
from lcsc.collection import collect
from lcsc.errors import InputError
from lcsc.export import RECIPE_KEY, export_merged, merge_from_recipe, read_recipe, write_recipe
from lcsc.groups import make_groups


def run_bank(folder: Path, suffix: str) -> Bank:
    states = []
    for k in range(3):
        shared = weights(k)["body.0.weight"]
        state = {**weights(k), "tied": shared, "body.0.weight": shared, "count": torch.tensor(k)}
        states.append({f"module.{name}": tensor for name, tensor in state.items()})
    save_run(folder / "run", states, suffix)
    return collect(folder / "run", folder / "bank")


def some_coefficients(rows: int = 1) -> np.ndarray:
    return np.tile(np.array([[-0.3, 1 / 3, 1.3 - 1 / 3]]), (rows, 1))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("kind", ["all", "tensor", "block", ["body.0", "*.weight"]], ids=str)
def test_the_merged_file_is_the_combination_under_the_run_s_names(tmp_path: Path, suffix: str, kind: str) -> None:
    bank = run_bank(tmp_path, suffix)
    groups = make_groups(bank.tensors, kind)
    alpha, output = some_coefficients(groups.G), tmp_path / f"merged{suffix}"
    export_merged(bank, alpha, kind, output=output)
    merged, source = (format_of(path).read(path) for path in (output, tmp_path / "run" / f"step-000030{suffix}"))
    assert format_of(output).name == format_of(tmp_path / "run" / f"step-000030{suffix}").name
    assert merged.tensors.keys() == source.tensors.keys()
    assert merged.aliases == source.aliases
    for name, tensor in source.tensors.items():
        assert (merged.tensors[name].shape, merged.tensors[name].dtype) == (tensor.shape, tensor.dtype)
    flat = bank.flatten({**merged.tensors, **{a: merged.tensors[k] for a, k in merged.aliases.items()}})
    assert flat.tobytes() == combine(bank, alpha[None], groups)[0].tobytes()
    assert merged.tensors["module.count"].item() == 2


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_the_recipe_makes_it_again_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    bank = run_bank(tmp_path, suffix)
    output, again = tmp_path / f"merged{suffix}", tmp_path / "again" / f"another-name{suffix}"
    extra = {"protocol": "abc", "sampler": {"sigmas": [80.0]}}
    recipe = export_merged(bank, some_coefficients(), output=output, recipe_extra=extra)
    assert read_recipe(output) == recipe
    assert recipe["extra"] == extra
    merge_from_recipe(read_recipe(output), Bank.open(tmp_path / "bank"), again)
    assert again.read_bytes() == output.read_bytes()
    write_recipe(recipe, tmp_path / "recipe.json")
    assert read_recipe(tmp_path / "recipe.json") == recipe
    assert recipe["checkpoints"][2]["source"] == f"step-000030{suffix}"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_one_hot_coefficients_give_the_source_s_tensors(tmp_path: Path, suffix: str) -> None:
    bank = run_bank(tmp_path, suffix)
    output = tmp_path / f"merged{suffix}"
    export_merged(bank, np.array([[0.0, 0.0, 1.0]]), output=output)
    source = format_of(output).read(tmp_path / "run" / f"step-000030{suffix}")
    merged = format_of(output).read(output)
    assert all(torch.equal(merged.tensors[name], tensor) for name, tensor in source.tensors.items())


def test_metadata_of_the_sources_is_kept(tmp_path: Path) -> None:
    for k in range(2):
        path = tmp_path / "run" / f"{k}.safetensors"
        kind = format_of(make_bank(tmp_path / "any", 2).path.parent / "run" / "step-000010.safetensors")
        kind.write(path, weights(k), {"step": str(k + 1), "author": "somebody"})
    bank = collect(tmp_path / "run", tmp_path / "bank")
    export_merged(bank, np.array([[0.5, 0.5]]), output=tmp_path / "merged.safetensors")
    metadata = kind.metadata_of(tmp_path / "merged.safetensors")
    assert metadata.keys() == {"format", "author", "step", RECIPE_KEY}
    assert (metadata["author"], metadata["step"]) == ("somebody", "2")
    assert json.loads(metadata[RECIPE_KEY])["bank"] == bank.identity


def test_half_precision_stays_half_precision(tmp_path: Path) -> None:
    save_run(tmp_path / "run", [{"a": torch.full((3,), 0.1 + k, dtype=torch.bfloat16)} for k in range(2)])
    bank = collect(tmp_path / "run", tmp_path / "bank")
    export_merged(bank, np.array([[0.5, 0.5]]), output=tmp_path / "merged.safetensors")
    found = format_of(tmp_path / "merged.safetensors").read(tmp_path / "merged.safetensors").tensors["a"]
    assert found.dtype == torch.bfloat16
    assert found[0].item() == pytest.approx(0.6, rel=1e-2)


def test_nested_state_dicts_and_templates(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for k in range(2):
        torch.save({"step": k, "model": weights(k)}, tmp_path / "run" / f"{k}.pt")
    bank = collect(tmp_path / "run", tmp_path / "bank", state_key="model")
    export_merged(bank, np.array([[0.0, 1.0]]), output=tmp_path / "merged.pt")
    content = torch.load(tmp_path / "merged.pt", weights_only=True)
    assert content.keys() == {"model"}
    assert torch.equal(content["model"]["scale"], weights(1)["scale"])
    template = save_run(tmp_path / "other", [weights(0)])[0]
    recipe = export_merged(bank, np.array([[0.0, 1.0]]), output=tmp_path / "merged.safetensors", template=template)
    assert recipe["container"]["format"] == "safetensors"
    assert format_of(tmp_path / "merged.safetensors").name == "safetensors"


def test_a_recipe_for_another_bank(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "one", 3)
    other = make_bank(tmp_path / "two", 4)
    recipe = export_merged(bank, some_coefficients(), output=tmp_path / "merged.safetensors")
    with pytest.raises(InputError, match=r"found bank .*, expected .* as in the recipe") as error:
        merge_from_recipe(recipe, other, tmp_path / "again.safetensors")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "again.safetensors").exists()


def test_files_without_a_recipe(tmp_path: Path) -> None:
    path = save_run(tmp_path, [weights(0)])[0]
    with pytest.raises(InputError, match="found no recipe in it or beside it"):
        read_recipe(path)
    with pytest.raises(InputError, match="not found; expected a merged checkpoint"):
        read_recipe(tmp_path / "absent.pt")
    write_recipe({"bank": "x"}, tmp_path / "short.json")
    with pytest.raises(InputError, match="the recipe lacks 'checkpoints'"):
        read_recipe(tmp_path / "short.json")
    format_of(path).write(path, weights(0), {RECIPE_KEY: "{"})
    with pytest.raises(InputError, match="is not the JSON of a recipe"):
        read_recipe(path)


def test_coefficients_that_do_not_fit(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    with pytest.raises(InputError, match=r"found shape \[4\], expected \[groups, 4 checkpoints\]"):
        export_merged(bank, np.ones(4), output=tmp_path / "merged.safetensors")
    with pytest.raises(InputError, match=r"found shape \[1, 1, 3\]"):
        export_merged(bank, np.ones((1, 3)), output=tmp_path / "merged.safetensors")
    assert not (tmp_path / "merged.safetensors").exists()
