"""Runs that share a training: it is made once, and coefficients of one are scored as they are in the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_workflow import run_workflow, small_config

from lcsc.files import read_json

pytestmark = pytest.mark.workflow


def test_one_training_serves_two_runs(tmp_path: Path) -> None:
    config = small_config()
    config["defaults"]["fine_tune"] = None
    config["runs"]["two"] = {
        "training_of": "tiny",
        "window": {"every": 4},
        "sampler": {"kind": "consistency", "sigmas": [80.0, 2.0]},
        "searches": {
            "evolution": None,
            "tensor": None,
            "over": {"method": "transfer", "warm_start": {"run": "three", "search": "tensor"}},
        },
    }
    config["runs"]["plain"] = {"training_of": "tiny", "searches": {"evolution": None, "tensor": None}}
    config["runs"]["three"] = {"training_of": "tiny", "window": {"every": 4}, "searches": {"evolution": None}}
    jobs = run_workflow(tmp_path, config, "-n", "evaluations").stdout
    assert re.search(r"^train +2$", jobs, re.MULTILINE)  # constant and decayed, of one run
    run_workflow(tmp_path, config, "results/two/report/report.html", "results/plain/evaluation.json")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["plain", "shared", "three", "tiny", "two"]
    assert not (tmp_path / "results/two/train").exists()
    over, found = (
        read_json(tmp_path / f"results/{run}/search/{name}/selection.json", kind="selection")
        for run, name in (("two", "over"), ("three", "tensor"))
    )
    chosen = [record["finalists"][record["chosen"]] for record in (over, found)]
    assert chosen[0]["coefficients"] == chosen[1]["coefficients"]
    assert chosen[0]["selection_score"] != chosen[1]["selection_score"]
    plain = read_json(tmp_path / "results/plain/evaluation.json", kind="evaluation")
    assert "search" not in {row["family"] for row in plain["methods"]}
    assert "over" in (tmp_path / "results/two/report/table.txt").read_text(encoding="utf-8")
