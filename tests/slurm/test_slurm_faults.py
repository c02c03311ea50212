"""What happens to jobs on clusters, on a real Slurm of one node: the same bytes in the end, and no score made twice.

A search of one generation after another in two shards, each long enough to be disturbed while it scores.
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
from one_node import said, submit, submitted, submitting
from small_workflow import SEARCH, generation_bytes, generation_paths, run_workflow, small_config

pytestmark = [pytest.mark.slurm, pytest.mark.faults, pytest.mark.timeout(3 * one_node.LIMIT)]
GENERATIONS, SHARDS = 2, 2
FORWARD = "forward+tiny+evolution"
TARGETS = generation_paths(GENERATIONS)


def config_of(shards: int) -> dict[str, Any]:
    """The small configuration with a search of which a shard of a generation takes seconds."""
    config = small_config(GENERATIONS, per_round=20, images=4000)
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


def states() -> dict[str, str]:
    """The state of every job that is not over, by its id."""
    return dict(line.split() for line in slurm("squeue", "--noheader", "--format=%i %T").splitlines())


def scored(folder: Path) -> list[str]:
    """The candidates in the journals of all shards, one for each score that was made and kept."""
    lines = [line for path in sorted((folder / SEARCH / "journal").glob("*shard*")) for line in path.open()]
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


def test_a_drained_node_ends_its_jobs_and_gets_the_others_later(
    slurm_node: None, folder: Path, expected: list[bytes]
) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        scoring_job(folder, process)
        slurm("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=test")
        wait_until(lambda: set(states().values()) == {"PENDING"}, "jobs that wait for the node alone", process)
        slurm("scontrol", "update", "NodeName=node1", "State=RESUME")
        assert process.wait() == 0, said(folder)
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_jobs_of_a_failed_node_are_requeued_by_slurm(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    """So it goes with preempted jobs, too: the same job runs again, and Snakemake need not know."""
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        job = scoring_job(folder, process)
        slurm("scontrol", "update", "NodeName=node1", "State=DOWN", "Reason=test")
        wait_until(lambda: states().get(job) == "PENDING", "the requeued job", process)
        for waiting in states():  # Slurm would wait two minutes
            slurm("scontrol", "update", f"JobId={waiting}", "StartTime=now")
        assert process.wait() == 0, said(folder)
    assert len(submitted(said(folder))[FORWARD]) == SHARDS * GENERATIONS
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_an_outage_of_the_controller_is_waited_for(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        scoring_job(folder, process)
        one_node.crash_controller()
        time.sleep(45)
        one_node.recover_controller()
        assert process.wait() == 0, said(folder)
    assert_undisturbed(folder, expected)


def test_a_run_that_waits_for_ever_is_ended_and_started_again(
    slurm_node: None, folder: Path, expected: list[bytes]
) -> None:
    """With few looks at the jobs (`--slurm-status-attempts`) Snakemake forgets them in an outage."""
    with submitting(
        folder, config_of(SHARDS), *TARGETS, "--slurm-status-attempts", "1", limit=0.15 * one_node.LIMIT
    ) as process:
        scoring_job(folder, process)
        one_node.crash_controller()
        time.sleep(45)
        one_node.recover_controller()
        process.wait()
    # Its jobs may be at work still: both write the same bytes.
    submit(folder, config_of(SHARDS), *TARGETS, "--unlock")
    submit(folder, config_of(SHARDS), *TARGETS)
    assert_undisturbed(folder, expected)
