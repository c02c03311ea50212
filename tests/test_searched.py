"""A search that lowers the distance of another extractor than the one that chooses: records, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from tiny import CPU, EXTRACTOR, SCORING

from lcsc import columns as tables
from lcsc.cli import main
from lcsc.data import load_part
from lcsc.errors import InputError
from lcsc.extractors import load_extractor
from lcsc.files import read_json
from lcsc.final import searched_words
from lcsc.metrics.reference_file import read_reference
from lcsc.reference import build_reference
from lcsc.runtime import deterministic
from lcsc.training.classifier import train_extractor

SEARCH = {
    "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
    "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """The extractor `joint` with its statistics, and a search of it by hand."""
    folder = tmp_path_factory.mktemp("searched")
    joint = folder / "joint.safetensors"
    settings = {**EXTRACTOR, "architecture": "cnn", "seed": 0, "pixels": {"share": 0.2, "size": 8}}
    with deterministic(1):
        train_extractor(settings, load_part(tiny_run.folder / "train.npz"), joint)
        build_reference(tiny_run.folder / "train.npz", joint, folder / "joint.h5", CPU)
    baselines = {"ema_shaped": [0.8, 0.9]}
    by_joint = ["--extractor", joint, "--reference", folder / "joint.h5"]
    run(tiny_run, "search", *by_joint, "--count", 2, "--output", folder, name="own", search=SEARCH)
    generations = ["--generations", *sorted(folder.glob("generation-*.json"))]
    run(tiny_run, "select", *by_cnn(tiny_run), *generations, "--output", folder / "s.json", name="own", finalists=2)
    run(tiny_run, "baselines", *by_cnn(tiny_run), "--output", folder / "b.json", baselines=baselines)
    return folder


def by_cnn(tiny_run):
    return ["--extractor", tiny_run.folder / "cnn.safetensors", "--reference", tiny_run.folder / "train.cnn.h5"]


def run(tiny_run, step, *arguments, expected=0, **settings):
    given = ["--settings", json.dumps({**SCORING, "images": 60, **settings}), "--device", "cpu"]
    command = [step, "--bank", tiny_run.folder / "bank", *given, *arguments]
    assert main([str(argument) for argument in command]) == expected


def evaluate(tiny_run, folder, *further, expected=0):
    part = tiny_run.folder
    arguments = ["--baselines", folder / "b.json", "--selection", folder / "s.json"]
    arguments += ["--extractors", *(part / f"{name}.safetensors" for name in ("cnn", "mlp")), "--references"]
    arguments += [part / f"{images}.{name}.h5" for images in ("train", "held-out") for name in ("cnn", "mlp")]
    arguments += ["--train-images", part / "train.npz", "--held-out-images", part / "held-out.npz"]
    arguments += ["--samples", folder / "samples.npz", "--output", folder / "evaluation.json", *further]
    run(tiny_run, "evaluate", *arguments, expected=expected, run="tiny", blocks=2)


def test_records_name_the_searched_extractor_beside_the_one_that_chooses(tiny_run, folder):
    joint, cnn = load_extractor(folder / "joint.safetensors"), tiny_run.extractor("cnn")
    assert read_json(folder / "generation-0001.json", kind="generation")["extractor"] == joint.record
    selection = read_json(folder / "s.json", kind="selection")
    assert (selection["searched_extractor"], selection["extractor"]) == (joint.record, cnn.identity)
    context = tiny_run.context()
    protocol = context.protocol(joint, read_reference(folder / "joint.h5"), "search", 60)
    assert read_json(folder / "generation-0000.json", kind="generation")["protocol"] == protocol.hash
    assert protocol.words().startswith("FD (joint: cnn + pixels): Fréchet distance")


def test_the_gain_is_measured_by_what_the_search_lowered_and_where_no_search_looked(tiny_run, folder):
    further = ["--searched", folder / "joint.safetensors", "--searched-references", folder / "joint.h5"]
    evaluate(tiny_run, folder, *further)
    record = read_json(folder / "evaluation.json", kind="evaluation")
    assert [column["key"] for column in record["columns"]] == ["cnn/held-out", "mlp/held-out", "cnn/train", "mlp/train"]
    methods = {method["name"]: method for method in record["methods"]}
    ours, base = (methods[name]["columns"]["joint/train"]["mean"] for name in ("own", "ema"))
    assert methods["own"]["gain"]["searched"] == pytest.approx(math.log(base / ours), abs=1e-12)
    assert methods["own"]["gain"]["column"] == "mlp/held-out"
    assert set(methods["own"]["guards"]) == {"cnn", "mlp"}
    assert methods["own"]["searched_extractor"]["name"] == "joint"
    assert record["protocol_words"][-1].startswith("LCSC (own) lowered FD (joint: cnn + pixels)")


def test_an_evaluation_that_cannot_measure_the_gain_is_refused(tiny_run, folder, capsys):
    evaluate(tiny_run, folder, expected=2)
    assert "'joint'" in (said := capsys.readouterr().err)
    assert "give its file to --searched" in said


def table(tiny_run):
    names = ("cnn", "mlp")
    references = [tiny_run.reference(name, part) for name in names for part in ("train", "held-out")]
    return tables.make_columns([tiny_run.extractor(name) for name in names], references)


def test_a_search_of_the_held_out_extractor_is_refused(tiny_run):
    row = {"label": "LCSC (x)", "searched_extractor": tiny_run.extractor("mlp").record}
    with pytest.raises(InputError, match=r"LCSC \(x\): lowered the distance by 'mlp', expected another"):
        tables.require_searched([row], table(tiny_run), [])
    row["searched_extractor"] = tiny_run.extractor("cnn").record
    tables.require_searched([row, {"label": "old record"}], table(tiny_run), [])
    row["warm_extractors"] = [tiny_run.extractor("mlp").record]
    with pytest.raises(InputError, match="nor be what a warm start was found with"):
        tables.require_searched([row], table(tiny_run), [])


def test_further_extractors_need_a_name_and_statistics_of_their_own(tiny_run, folder):
    joint, reference = load_extractor(folder / "joint.safetensors"), read_reference(folder / "joint.h5")
    with pytest.raises(InputError, match="found 1 extractors and 0 references"):
        tables.further_columns([joint], [], table(tiny_run))
    with pytest.raises(InputError, match="found an extractor called 'cnn', expected names that no other"):
        tables.further_columns([dataclasses.replace(joint, name="cnn")], [reference], table(tiny_run))
    with pytest.raises(InputError, match="expected 70 as extractor 'joint' makes"):
        tables.further_columns([joint], [tiny_run.reference("cnn")], table(tiny_run))


def test_only_methods_with_another_extractor_get_a_sentence(tiny_run, folder):
    rows = [
        {"label": label, "searched_extractor": found}
        for label, found in [
            ("Last", None),
            ("A", tiny_run.extractor("cnn").record),
            ("B", load_extractor(folder / "joint.safetensors").record),
        ]
    ]
    (words,) = searched_words(rows, table(tiny_run))
    assert words.startswith("B lowered FD (joint: cnn + pixels) against the training images")
    assert "chosen by FD (cnn)" in words
