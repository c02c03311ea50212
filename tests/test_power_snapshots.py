"""Baselines from windows, stored power EMAs and continued trainings, and weights that are mixtures of files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import SCORING, TRAIN, TRAINING

from lcsc import baselines, final_rows, power_snapshots, weights
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.cli import main
from lcsc.data import load_part
from lcsc.errors import InputError
from lcsc.files import canonical_json, read_json
from lcsc.runtime import deterministic
from lcsc.search import averaging, post_hoc
from lcsc.training import continue_training, train

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTHS = (0.02, 0.05, 0.1, 0.15)
SETTINGS = {**TRAINING, "train": {**TRAIN, "power_ema": [0.05, 0.1], "continue": 6}}


@pytest.fixture(scope="module")
def training(tiny_run, tmp_path_factory):
    """The tiny training with power EMAs, and what it becomes."""
    folder, part = tmp_path_factory.mktemp("power"), load_part(tiny_run.folder / "train.npz")
    with deterministic(1):
        train(SETTINGS, part, folder / "constant")
        continue_training(SETTINGS, part, folder / "constant", folder / "continued")
    return folder


@pytest.fixture(scope="module")
def entries(training):
    return power_snapshots.entries(training / "constant" / "ema" / "power", WIDTHS)


def test_a_tracked_width_is_its_last_snapshot_bit_for_bit(entries, tiny_run, training):
    for entry, name in ((entries[1], "sigma-0.0500"), (entries[2], "sigma-0.1000")):
        assert entry["weights"]["coefficients"] == [1.0]
        path = training / "constant" / "ema" / "power" / f"{name}-step-000040.safetensors"
        expected = tiny_run.bank.flatten(SafetensorsFormat().read(path).tensors)
        np.testing.assert_array_equal(weights.load(entry["weights"], tiny_run.bank), expected)
        assert entry["misfit"] < 1e-7


def test_a_width_between_is_a_mixture_that_says_how_near_it_comes(entries):
    between = entries[3]
    assert (between["name"], between["family"], between["parameter"]) == ("post-hoc 0.15", "post-hoc", 0.15)
    assert between["label"] == "Post-hoc EMA (σ_rel 0.15)"
    assert len(between["weights"]["files"]) == 40
    assert sum(between["weights"]["coefficients"]) == pytest.approx(1, abs=1e-12)
    assert 0 < between["misfit"] < 0.01 < entries[0]["misfit"]


def test_a_mixture_is_the_sum_of_its_files(entries, tiny_run):
    record = entries[3]["weights"]
    files = [weights.load({"kind": "file", **file}, tiny_run.bank).astype(float) for file in record["files"]]
    expected = np.asarray(record["coefficients"]) @ np.array(files)
    np.testing.assert_allclose(weights.load(record, tiny_run.bank), expected, rtol=1e-6, atol=1e-9)


def test_weights_are_the_same_whether_files_are_kept_or_read_again(entries, tiny_run, monkeypatch):
    first = weights.load(entries[3]["weights"], tiny_run.bank)
    for limit in (0, 5 * first.nbytes):
        monkeypatch.setattr(weights, "_KEPT", weights._Kept(limit))
        for _ in range(2):
            np.testing.assert_array_equal(weights.load(entries[3]["weights"], tiny_run.bank), first)
        assert len(weights._KEPT._weights) == limit // first.nbytes


def test_a_mixture_of_a_changed_file_is_refused(entries, tiny_run, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "_KEPT", weights._Kept(0))
    (file, *_), coefficient = entries[3]["weights"]["files"], [1.0]
    with pytest.raises(InputError, match="the file has changed since the baselines"):
        weights.load({"kind": "mixture", "files": [{**file, "sha256": "0" * 64}], "coefficients": coefficient},
                     tiny_run.bank)  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"step": "40"}, "metadata 'sigma_rel': found nothing, expected a number"),
        ({"step": "40", "sigma_rel": "wide"}, "metadata 'sigma_rel': found 'wide', expected a number"),
        ({"step": "40", "sigma_rel": "0.5"}, "metadata 'sigma_rel': σ_rel: found 0.5"),
        ({"step": "0", "sigma_rel": "0.1"}, "metadata 'step': found 0, expected 1 or more"),
    ],
)
def test_files_that_do_not_say_what_they_are_are_refused(tmp_path, metadata, message):
    with pytest.raises(InputError, match="no snapshots of power EMAs found; set train"):
        power_snapshots.entries(tmp_path, WIDTHS)
    SafetensorsFormat().write(tmp_path / "a.safetensors", {"w": torch.zeros(2)}, metadata)
    with pytest.raises(InputError, match=f"a.safetensors: {message}"):
        power_snapshots.entries(tmp_path, WIDTHS)


def test_windows_and_widths_are_combinations_and_too_long_windows_are_left_out():
    steps = [10, 20, 30, 40, 50]
    entries = {e["name"]: e for e in baselines.combinations(steps, [0.9], [2, 4, 5, 8], [0.1])}
    windows = [entry for entry in entries.values() if entry["family"] == "window"]
    assert [entry["label"] for entry in windows] == [f"Uniform window ({n} checkpoints)" for n in (2, 4)]
    assert windows[1]["weights"]["coefficients"] == averaging.window(5, 4).tolist()
    raw = entries["post-hoc-checkpoints 0.1"]
    assert (raw["family"], raw["label"]) == ("post-hoc", "Post-hoc EMA (σ_rel 0.10, from checkpoints)")
    assert raw["weights"]["coefficients"] == post_hoc.from_checkpoints(steps, 0.1).tolist()
    without = {e["name"] for e in baselines.combinations(steps, [0.9], [2, 4, 5, 8], [0.1], singles=False)}
    assert set(entries) - without == {f"single {step}" for step in steps}
    assert without < set(entries)


def test_rates_near_1_are_told_apart_in_labels_and_names():
    steps = [200_000 * place for place in range(1, 7)]
    entries = [{**entry, "score": 1.0} for entry in baselines.combinations(steps, None)]
    shaped = [entry for entry in entries if entry["family"] == "ema-shaped"]
    assert len({entry["label"] for entry in shaped}) == len({entry["name"] for entry in shaped}) == len(shaped)
    slowest = shaped[-1]
    assert slowest["label"] == "EMA-shaped 0.9999999497"
    slowest["score"] = 0.0
    chosen = final_rows.methods({"entries": entries, "chosen": baselines.choose(entries)}, [])
    assert "Best EMA (EMA-shaped 0.9999999497)" in [row["label"] for row in chosen]


def test_the_best_of_each_family_has_its_label_and_hindsight_has_the_post_hoc_ones(entries, training):
    rows = [*baselines.combinations([10, 20, 30], [0.9], [2], [0.1]), *entries]
    rows += baselines.files(None, None, training / "continued")
    for index, entry in enumerate(rows):
        entry["score"] = float(index)
    record = {"entries": rows, "chosen": baselines.choose(rows)}
    labels = {row["name"]: row["label"] for row in final_rows.methods(record, [])}
    assert list(labels) == ["last", "single", "uniform", "window", "ema", "post-hoc", "continued"]
    assert labels["window"] == "Uniform window (2 checkpoints)"
    assert labels["continued"] == "Training continued (last)"
    rows[-1]["score"] = -1.0
    labels = {row["name"]: row["label"] for row in final_rows.methods({**record, "chosen": baselines.choose(rows)}, [])}
    assert labels["continued"] == "Training continued (EMA 0.9)"
    families = [row["family"] for row in final_rows.hindsight_methods(record)]
    assert families == ["ema-shaped", "post-hoc", *["post-hoc"] * len(WIDTHS)]


def test_the_command_line_goes_on_with_a_training_and_scores_every_family(tiny_run, training, tmp_path, capsys):
    plain = ["--data", tiny_run.folder / "train.npz", "--settings", canonical_json(SETTINGS), "--device", "cpu"]
    more = [*plain, "--training", training / "constant", "--output", tmp_path / "more"]
    assert main([str(item) for item in ("continue", *more)]) == 0
    name = "checkpoints/step-000046.safetensors"
    assert (tmp_path / "more" / name).read_bytes() == (training / "continued" / name).read_bytes()
    grids = {"ema_shaped": [0.9], "windows": [2, 8], "post_hoc": [0.1, 0.12]}
    settings = canonical_json({**SCORING, "images": 60, "baselines": grids})
    measure = ["--extractor", tiny_run.folder / "cnn.safetensors", "--reference", tiny_run.folder / "train.cnn.h5"]
    found = ["--power", training / "constant" / "ema" / "power", "--continued", training / "continued"]
    common = ["--bank", tiny_run.folder / "bank", *measure, "--output", tmp_path / "b.json", "--device", "cpu"]
    assert main([str(item) for item in ("baselines", "--settings", settings, *common, *found)]) == 0
    record = read_json(tmp_path / "b.json", kind="baselines")
    families = [entry["family"] for entry in record["entries"]]
    counts = {family: families.count(family) for family in ("window", "post-hoc", "continued")}
    assert counts == {"window": 1, "post-hoc": 4, "continued": 3}
    assert set(counts) <= set(record["chosen"])
    assert all(entry["score"] > 0 for entry in record["entries"])
    bad = [*common[:-4], "--output", tmp_path / "c.json", "--power", tmp_path]
    assert main([str(item) for item in ("baselines", "--settings", settings, *bad)]) == 2
