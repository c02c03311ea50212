"""A job cancelled on a real Slurm of one node: the same bytes in the end, and no score made twice.

A generation of a search in two shards, each long enough to be cancelled while it scores.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import one_node
import pytest
from one_node import said, submitted, submitting
from small_workflow import SEARCH, generation_bytes, generation_paths, run_workflow, small_config

pytestmark = [pytest.mark.slurm, pytest.mark.faults, pytest.mark.timeout(3 * one_node.LIMIT)]
GENERATIONS, SHARDS = 1, 2
FORWARD = "forward+tiny+evolution"
TARGETS = generation_paths(GENERATIONS)


def config_of(shards: int) -> dict[str, Any]:
    """The small configuration with a search of which a shard of a generation takes seconds."""
    config = small_config(per_round=20, images=4000)
    config["defaults"]["searches"]["evolution"] |= {"shards": shards, "population": 48}
    return config


@pytest.fixture(scope="session")
def before_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all that the search needs is made."""
    folder = tmp_path_factory.mktemp("before-search")
    needed = ["--until", "collect_checkpoints", "reference_statistics"]
    run_workflow(folder, config_of(1), *TARGETS, *needed)
    return folder


@pytest.fixture(scope="session")
def expected(before_search: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The generations of a search that nothing disturbed, in one local job."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(before_search, folder, symlinks=True)
    run_workflow(folder, config_of(1), *TARGETS)
    return generation_bytes(folder, GENERATIONS)


@pytest.fixture
def folder(before_search: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(before_search, tmp_path / "run", symlinks=True))


def wait_until(true: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Look twice a second until ``true()``."""
    deadline = time.monotonic() + one_node.LIMIT / 2
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        assert process is None or process.poll() is None, f"Snakemake ended before: {what}"
        time.sleep(0.5)


def slurm(*command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def scored(folder: Path) -> list[str]:
    """The candidates in the journals of all shards, one for each score that was made and kept."""
    paths = sorted((folder / SEARCH / "journal").glob("*shard*"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines(keepends=True)]
    return [json.loads(line)["candidate"] for line in lines if line.endswith("}\n")]


def scoring_job(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until a shard has begun to score; the id of its job."""
    wait_until(lambda: bool(scored(folder)), "the first scores", process)
    number = next((folder / SEARCH / "journal").glob("*shard*")).name.split(".shard-")[1].split("-")[0]
    ids = submitted(said(folder))[FORWARD]
    comments = dict(line.split(" ", 1) for line in slurm("squeue", "-h", "-o", "%i %k").splitlines())
    return next(job for job in ids if comments.get(job, "").endswith(f"_{number}"))


def assert_undisturbed(folder: Path, expected: list[bytes]) -> None:
    assert generation_bytes(folder, GENERATIONS) == expected
    assert not list((folder / "results").rglob("*.part"))
    assert not list((folder / SEARCH / "shards").glob("*.npz"))


def assert_no_score_made_twice(folder: Path) -> None:
    assert max(Counter(scored(folder)).values()) == 1


def test_a_cancelled_job_is_submitted_again(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        job = scoring_job(folder, process)
        slurm("scancel", job)
        assert process.wait() == 0, said(folder)
    assert len(submitted(said(folder))[FORWARD]) == SHARDS * GENERATIONS + 1
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)
