"""A workflow without a shared folder: each job gets the files that its rule names from a storage, and no others."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from small_workflow import generation_bytes, generation_paths, run_workflow, small_config

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        importlib.util.find_spec("snakemake_storage_plugin_fs") is None or shutil.which("rsync") is None,
        reason="needs the extra `cluster` (snakemake-storage-plugin-fs) and rsync",
    ),
]
GENERATIONS = 3
# What no later step reads: Snakemake keeps none of what it fetched once no job needs it any more.
LEFT = (".log", ".tsv", ".sha256", ".jsonl")


def in_storage(store: Path) -> list[str]:
    """Options that have Snakemake fetch what a job reads from ``store``, and take what it makes there."""
    return ["--default-storage-provider", "fs", "--default-storage-prefix", str(store), "--shared-fs-usage", "none"]


@pytest.mark.timeout(1800)  # each job fetches its files besides
def test_jobs_need_no_files_but_those_that_rules_name(tmp_path: Path, undisturbed: Path) -> None:
    config, store = small_config(GENERATIONS), tmp_path / "store"
    config["defaults"]["searches"]["evolution"] |= {"shards": 2}
    config["defaults"]["landscapes"] = {
        "plane": {"checkpoints": "raw", "steps": [22, 30, 40], "points": 3, "images": 64}
    }
    for count in (1, 2):  # each start finds nothing of what an earlier one fetched, as each node of a cluster does
        run_workflow(tmp_path, config, *generation_paths(count), *in_storage(store))
        shutil.rmtree(tmp_path / ".snakemake" / "storage")
    run_workflow(tmp_path, config, *in_storage(store))
    assert generation_bytes(store, GENERATIONS) == generation_bytes(undisturbed, GENERATIONS)
    found = {path.name for path in (store / "results" / "tiny").rglob("*") if path.is_file()}
    assert {"evaluation.json", "merged.safetensors", "report.html"} <= found
    assert not (tmp_path / "results").exists()
    fetched = [path for path in (tmp_path / ".snakemake" / "storage").rglob("*") if path.is_file()]
    assert fetched
    assert [path for path in fetched if path.suffix not in LEFT] == []


def test_checkpoints_of_ones_own_come_from_the_storage(tmp_path: Path, trained: Path) -> None:
    store, index = tmp_path / "store", "results/mine/bank/index.json"
    shutil.copytree(trained / "results/tiny/train/constant/checkpoints", store / "mine")
    config = small_config()
    del config["defaults"]["train"]
    config["runs"] = {"mine": {"checkpoints": {"folder": "mine"}}}
    run_workflow(tmp_path, config, index, *in_storage(store))
    banks = [
        json.loads((folder / "results" / run / "bank/index.json").read_text())
        for folder, run in ((store, "mine"), (trained, "tiny"))
    ]
    assert banks[0]["checkpoints"] == banks[1]["checkpoints"]
