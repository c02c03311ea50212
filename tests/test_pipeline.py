"""The whole workflow once, in small: what it makes, what it says, and that a second call does nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_workflow import SNAKEFILE, environment, run_workflow, small_config, without_network

from lcsc.files import sha256_of

# A whole workflow stands behind the first test, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)


def config() -> dict[str, Any]:
    """The small one, whose gradient search has an extractor of its own, with a landscape."""
    found = small_config()
    found["extractors"]["joint"] = {**found["extractors"]["cnn"], "pixels": {"share": 0.2, "size": 4}}
    found["defaults"]["searches"]["tensor"]["extractor"] = "joint"
    found["defaults"]["landscapes"] = {"raw": {"steps": [22, 30, 40], "points": 3, "images": 32}}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole workflow")


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    """With every step of the workflow, and without a network where the system lets a test take it away."""
    return run_workflow(folder, config(), before=without_network()).stdout


def test_the_main_job_ends_with_table_and_report(folder: Path, said: str) -> None:
    run = folder / "results" / "tiny"
    page = run / "report" / "report.html"
    assert page.stat().st_size > 10_000
    assert f"Report: {page}" in said
    assert (run / "report" / "table.txt").read_text(encoding="utf-8").strip() in said
    assert (run / "export" / "merged.safetensors").is_file()
    assert "[search tiny]" in said


def test_every_step_leaves_a_log_and_a_benchmark(folder: Path, said: str) -> None:
    steps = ["train-constant", "train-decayed", "train-continued", "collect", "baselines", "search-evolution-0000"]
    steps += [
        "search-evolution-0002",
        "search-tensor-0003",
        "tune-adam",
        "select-evolution",
        "select-tensor",
        "evaluate",
        "export",
        "report",
    ]
    for step in steps:
        assert (folder / "logs" / "tiny" / f"{step}.log").stat().st_size > 0
        assert (folder / "benchmarks" / "tiny" / f"{step}.tsv").stat().st_size > 0


def test_a_second_call_does_nothing(folder: Path, said: str) -> None:
    again = run_workflow(folder, config()).stdout
    assert "Nothing to be done" in again


def test_every_family_of_baselines_is_scored_and_reported(folder: Path, said: str) -> None:
    run = folder / "results" / "tiny"
    entries = json.loads((run / "baselines.json").read_text())["entries"]
    kinds = {(entry["family"], entry["weights"]["kind"]) for entry in entries}
    mine = {("window", "coefficients"), ("post-hoc", "coefficients"), ("post-hoc", "mixture"), ("continued", "file")}
    mine |= {("tuned", "file")}
    assert mine <= kinds
    methods = json.loads((run / "evaluation.json").read_text())["methods"]
    labels = {method["name"]: method["label"] for method in methods}
    assert "Uniform window (" in labels["window"]
    assert labels["post-hoc"].startswith("Post-hoc EMA (σ_rel 0.")
    assert labels["continued"].startswith("Training continued (")
    assert labels["tuned"].startswith("Fine-tuned (rate ")


def test_the_recipe_makes_the_merged_checkpoint_again(folder: Path, said: str) -> None:
    run = folder / "results" / "tiny"
    again = folder / "again.safetensors"
    merge = [sys.executable, "-m", "lcsc", "merge", "--recipe", run / "export" / "recipe.json"]
    subprocess.run([*merge, "--bank", run / "bank", "--output", again], env=environment(), check=True)
    assert again.read_bytes() == (run / "export" / "merged.safetensors").read_bytes()


def test_a_row_for_each_tensor_is_searched_along_gradients(folder: Path, said: str) -> None:
    search = folder / "results" / "tiny" / "search" / "tensor"
    record = json.loads((search / "generation-0004.json").read_text())
    (row,) = record["candidates"]
    coefficients, gradient = (np.asarray(row[key]) for key in ("coefficients", "gradient"))
    assert coefficients.shape == gradient.shape
    assert len(coefficients) > 10
    np.testing.assert_allclose(coefficients.sum(axis=1), 1, atol=1e-12)
    assert (coefficients.std(axis=0) > 0).all()
    selection = json.loads((search / "selection.json").read_text())
    assert selection["groups"] == "tensor"


def test_a_search_with_an_extractor_of_its_own_is_chosen_by_that_of_the_run(folder: Path, said: str) -> None:
    run = folder / "results" / "tiny"
    (joint,) = (folder / "results" / "shared" / "extractors").glob("joint-*.safetensors")
    searched = {}
    for search in ("evolution", "tensor"):
        selection = json.loads((run / "search" / search / "selection.json").read_text())
        assert selection["protocol"] == json.loads((run / "baselines.json").read_text())["protocol"]
        searched[search] = selection["searched_extractor"]
    assert searched["evolution"]["name"] == "cnn"
    expected = {"name": "joint", "words": "joint: cnn + pixels", "sha256": sha256_of(joint)}
    assert searched["tensor"] == expected
    record = json.loads((run / "evaluation.json").read_text())
    assert {column["extractor"] for column in record["columns"]} == {"cnn", "mlp"}
    methods = {method["name"]: method for method in record["methods"]}
    assert methods["tensor"]["searched_extractor"] == expected
    ours, base = (methods[name]["columns"]["joint/train"]["mean"] for name in ("tensor", "ema"))
    assert methods["tensor"]["gain"]["searched"] == pytest.approx(np.log(base / ours))
    assert "LCSC (tensor) lowered FD (joint: cnn + pixels)" in (run / "report" / "report.html").read_text()


def embedded(page: str, name: str) -> Any:
    """What Snakemake's report holds as ``name``."""
    (text,) = re.findall(rf'<script id="{name}">\s*var {name} = (.*);$', page, re.MULTILINE)
    return json.loads(text)


def test_snakemakes_own_report_has_every_figure_with_caption_and_category(folder: Path, said: str) -> None:
    page = folder / "bundle.html"
    run_workflow(folder, config(), "--report", str(page))
    text = page.read_text(encoding="utf-8")
    found, categories = (embedded(text, name) for name in ("results", "categories"))
    report = "results/tiny/report"
    pictures = {f"{report}/{path.name}" for path in (folder / report).glob("*.svg")} | {f"{report}/images.png"}
    assert {f"{report}/landscape.svg", f"{report}/result.svg"} < pictures
    assert set(found) == {*pictures, *(f"{report}/{name}.html" for name in ("report", "table", "guards"))}
    (paths,) = categories["tiny"].values()
    assert set(paths) == set(found)
    assert len({entry["labels"]["what"] for entry in found.values()}) == len(found)
    for path, entry in found.items():
        words = (SNAKEFILE.parent / "report" / Path(path).with_suffix(".rst").name).read_text(encoding="utf-8")
        expected = words.replace("{{ snakemake.wildcards.run }}", "tiny").replace("``", "")
        assert " ".join(expected.split()) in " ".join(re.sub("<[^>]+>", "", entry["caption"]).split()), path
