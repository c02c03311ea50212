"""Extractors that nothing trains: made where their weights are, fetched first where none are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_workflow import run_workflow, small_config
from stand_ins import torchscript_inception

from lcsc.config import extractor_id, resolve
from lcsc.extractors import load_extractor
from lcsc.files import sha256_of

pytestmark = pytest.mark.workflow


def test_weights_may_move_and_are_fetched_where_none_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "my weights"
    folder.mkdir()
    weights = torchscript_inception(folder / "inc.pt")
    config = small_config()
    config["extractors"] |= {
        "inc": {"kind": "inception", "weights": "my weights/inc.pt", "sha256": sha256_of(weights)},
        "published": {"kind": "inception"},
        "lite": {"kind": "efficientnet_lite0", "size": 32},
    }
    found = resolve(config)
    files = {
        name: f"results/shared/extractors/{extractor_id(found, name)}.safetensors"
        for name in ("inc", "published", "lite")
    }
    run_workflow(tmp_path, config, files["inc"], files["lite"])
    assert load_extractor(tmp_path / files["inc"]).about["weights"]["sha256"] == sha256_of(weights)
    assert load_extractor(tmp_path / files["lite"]).dimension == 1280
    weights.rename(tmp_path / "moved.pt")
    config["extractors"]["inc"]["weights"] = "moved.pt"
    assert "Nothing to be done" in run_workflow(tmp_path, config, "-n", files["inc"], files["lite"]).stdout
    assert "fetch_weights" in run_workflow(tmp_path, config, "-n", files["published"]).stdout
