"""Steps of the command line with ``--device cuda``: trainings, references, searches, shards, the final evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from on_gpu import DEVICE, GPU
from test_cli import SEARCH, lcsc, measures
from test_shards import GRADIENT
from tiny import EXTRACTOR, SCORING, TRAIN, TRAINING, TinyRun

from lcsc.files import read_json

pytestmark = GPU

EDM = {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}


def given(**values: Any) -> list[Any]:
    return ["--settings", json.dumps(values), "--device", DEVICE.type]


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("search", [SEARCH, GRADIENT], ids=lambda search: search["method"])
def test_a_search_is_the_same_bytes_in_one_round_in_two_and_in_shards(
    tiny_run: TinyRun, tmp_path: Path, search: dict[str, Any]
) -> None:
    common = [*measures(tiny_run), *given(**SCORING, images=130, name="x", search=search)]
    timing = tmp_path / "timing.json"
    assert lcsc("search", *common, "--count", 3, "--output", tmp_path / "a", "--timing", timing) == 0
    assert lcsc("search", *common, "--count", 2, "--output", tmp_path / "b") == 0
    assert lcsc("search", *common, "--first", 2, "--count", 1, "--output", tmp_path / "b") == 0
    assert read_json(timing, kind="timing")["device"] == DEVICE.type
    stages = ["forward", "backward"] if search["method"] == "gradient" else ["forward"]
    for generation in range(3):
        in_shards(common, tmp_path / "c", generation, stages)
        name = f"generation-{generation:04d}.json"
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def in_shards(common: list[Any], folder: Path, generation: int, stages: list[str], count: int = 2) -> None:
    """A generation in shards, joined as the workflow joins: on the CPU."""
    files: list[Path] = []
    for stage in stages:
        before, files = files, [folder / f"{generation}-{stage}-{index}.npz" for index in range(1, count + 1)]
        for index, file in enumerate(files, 1):
            own = ["--shard", f"{index}/{count}", "--stage", stage, *(["--forward", *before] if before else [])]
            where = ["--search", folder, "--generation", generation, "--output", file]
            assert lcsc("shard", *common, *where, *own) == 0
    joined = ["--first", generation, "--count", 1, "--output", folder, "--shards", *files]
    assert lcsc("search", *common[:-1], "cpu", *joined) == 0


def test_a_run_from_training_to_evaluation(tiny_run: TinyRun, tmp_path: Path) -> None:
    """Twice the same bytes of all that is trained; every step after that runs."""
    data = ["--data", tiny_run.folder / "train.npz"]
    for name in ("a", "b"):
        make_measures(tiny_run, tmp_path / name, data)
        assert lcsc("train", *given(**TRAINING), *data, "--output", tmp_path / name / "train") == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")
    folder = tmp_path / "a"
    bank = ["--bank", tiny_run.folder / "bank"]
    measured = [*bank, "--extractor", folder / "cnn.safetensors", "--reference", folder / "train.cnn.h5"]
    common = {**SCORING, "images": 100}
    baselines, selection = folder / "baselines.json", folder / "selection.json"
    grids = {"ema_shaped": [0.8, 0.9], "windows": [3]}
    assert lcsc("baselines", *measured, *given(**common, baselines=grids), "--output", baselines) == 0
    search = given(**common, name="x", search=GRADIENT)
    assert lcsc("search", *measured, *search, "--count", 3, "--output", folder / "search") == 0
    generations = sorted((folder / "search").glob("generation-*.json"))
    chosen = ["--generations", *generations, "--output", selection]
    assert lcsc("select", *measured, *given(**common, name="x", finalists=2), *chosen) == 0
    references = [folder / f"{part}.{name}.h5" for name in ("cnn", "mlp") for part in ("train", "held-out")]
    given_images = [f"--{part}-images={tiny_run.folder / part}.npz" for part in ("train", "held-out")]
    evaluated = ["--extractors", *(folder / f"{name}.safetensors" for name in ("cnn", "mlp"))]
    evaluated += ["--references", *references, "--baselines", baselines, "--selection", selection, *given_images]
    outputs = ["--output", folder / "evaluation.json", "--samples", folder / "samples.npz"]
    settings = given(**common, blocks=2, run="tiny")
    assert lcsc("evaluate", *bank, *settings, *evaluated, *outputs) == 0
    rows = read_json(folder / "evaluation.json", kind="evaluation")["methods"]
    assert len(rows) > 2


def make_measures(tiny_run: TinyRun, folder: Path, data: list[Any]) -> None:
    """Two trained extractors and their statistics."""
    for seed, name in enumerate(("cnn", "mlp")):
        settings = given(**EXTRACTOR, architecture=name, seed=seed, name=name, threads=1)
        made = folder / f"{name}.safetensors"
        assert lcsc("extractor", *settings, *data, "--output", made) == 0
        for part in ("train", "held-out"):
            images = ["--images", tiny_run.folder / f"{part}.npz", "--extractor", made]
            output = folder / f"{part}.{name}.h5"
            assert lcsc("reference", *images, *given(threads=1), "--output", output) == 0


def test_denoisers_train_to_the_same_bytes(tiny_run: TinyRun, tmp_path: Path) -> None:
    train = {key: value for key, value in TRAIN.items() if key != "scales"} | {"recipe": "edm"}
    settings = {**TRAINING, "preconditioning": EDM, "train": train}
    for name in ("a", "b"):
        data = ["--data", tiny_run.folder / "train.npz"]
        assert lcsc("train", *given(**settings), *data, "--output", tmp_path / name) == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")
