"""A search whose shards take seconds each, so that something can happen to Slurm while they score."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from one_node import LIMIT, said, submitted
from small_workflow import SEARCH, generation_bytes, generation_paths, small_config

GENERATIONS, SHARDS = 1, 2
FORWARD, JOIN = "forward+tiny+evolution", "join+tiny+evolution"
TARGETS = generation_paths(GENERATIONS)


def config_of(shards: int) -> dict[str, Any]:
    """The small configuration with a search of which a shard of a generation takes seconds."""
    config = small_config(per_round=20, images=4000)
    config["defaults"]["searches"]["evolution"] |= {"shards": shards, "population": 48}
    return config


def wait_until(true: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Look twice a second until ``true()``."""
    deadline = time.monotonic() + LIMIT / 2
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        assert process is None or process.poll() is None, f"Snakemake ended before: {what}"
        time.sleep(0.5)


def slurm(*command: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def in_state(state: str) -> list[str]:
    """The ids of the jobs that are in ``state``, such as RUNNING, or in one of several with commas between."""
    return slurm("squeue", "--noheader", "--format", "%i", "--states", state).split()


def scored(folder: Path) -> list[str]:
    """The candidates in the journals of all shards, one for each score that was made and kept."""
    paths = sorted((folder / SEARCH / "journal").glob("*shard*"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines(keepends=True)]
    return [json.loads(line)["candidate"] for line in lines if line.endswith("}\n")]


def wait_for_scores(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a shard has begun to score."""
    wait_until(lambda: bool(scored(folder)), "the first scores", process)


def scoring_job(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until a shard has begun to score; the id of its job."""
    wait_for_scores(folder, process)
    number = next((folder / SEARCH / "journal").glob("*shard*")).name.split(".shard-")[1].split("-")[0]
    ids = submitted(said(folder))[FORWARD]
    comments = dict(line.split(" ", 1) for line in slurm("squeue", "-h", "-o", "%i %k").splitlines())
    return next(job for job in ids if comments.get(job, "").endswith(f"_{number}"))


def assert_undisturbed(folder: Path, expected: list[bytes]) -> None:
    """The generations are those of a run that nothing disturbed, and nothing else is left."""
    assert generation_bytes(folder, GENERATIONS) == expected
    assert not list((folder / "results").rglob("*.part"))
    assert not list((folder / SEARCH / "shards").glob("*.npz"))


def assert_no_score_made_twice(folder: Path) -> None:
    """No candidate stands in the journals twice."""
    assert max(Counter(scored(folder)).values()) == 1
