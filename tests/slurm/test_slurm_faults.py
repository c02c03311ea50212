"""A job cancelled or preempted, a node drained and a controller that fails, on a real Slurm of one node.

A generation of a search in two shards, each long enough for something to happen while it scores: the same bytes in the
end, and where no job was written off no score made twice.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from one_node import LIMIT, controller_down, drained, said, submit, submitted, submitting
from sharded_search import (
    FORWARD,
    GENERATIONS,
    JOIN,
    SHARDS,
    TARGETS,
    assert_no_score_made_twice,
    assert_undisturbed,
    config_of,
    in_state,
    scored,
    scoring_job,
    slurm,
    wait_for_scores,
    wait_until,
)

pytestmark = [pytest.mark.slurm, pytest.mark.faults, pytest.mark.timeout(3 * LIMIT)]
OUTAGE = 30.0  # seconds: longer than any command of Slurm tries to reach its controller


def test_a_cancelled_job_is_submitted_again(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        job = scoring_job(folder, process)
        slurm("scancel", job)
        assert process.wait() == 0, said(folder)
    assert len(submitted(said(folder))[FORWARD]) == SHARDS * GENERATIONS + 1
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_a_preempted_job_goes_on_under_its_own_number(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        job = scoring_job(folder, process)
        before = len(scored(folder))
        slurm("scontrol", "requeue", job)  # what preemption with PreemptMode=REQUEUE does
        wait_until(lambda: job in in_state("PENDING"), "the job back in the queue", process)
        slurm("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm would wait for two minutes
        assert process.wait() == 0, said(folder)
    assert before > 0
    assert "Restarts=1" in slurm("scontrol", "show", "job", job)
    assert {rule: len(jobs) for rule, jobs in submitted(said(folder)).items()} == {FORWARD: SHARDS, JOIN: 1}
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_jobs_of_a_drained_node_end_and_others_wait(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        wait_for_scores(folder, process)
        with drained():
            wait_until(lambda: JOIN in submitted(said(folder)), "the shards' end", process)
            (join,) = submitted(said(folder))[JOIN]
            time.sleep(5)  # Slurm starts jobs within two seconds
            assert (in_state("PENDING"), in_state("RUNNING")) == ([join], [])
            assert not any((folder / path).exists() for path in TARGETS)
        assert process.wait() == 0, said(folder)
    assert {rule: len(jobs) for rule, jobs in submitted(said(folder)).items()} == {FORWARD: SHARDS, JOIN: 1}
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_jobs_go_on_while_the_controller_starts_again(slurm_node: None, folder: Path, expected: list[bytes]) -> None:
    """Whether Snakemake notices depends on the moment; if it does, it waits for ever and is started again."""
    with submitting(folder, config_of(SHARDS), *TARGETS, limit=LIMIT / 3) as process:
        wait_for_scores(folder, process)
        running = in_state("RUNNING")
        with controller_down():
            pass
        assert set(running) <= set(in_state("RUNNING,COMPLETING,COMPLETED"))
        code = process.wait()
    if code != 0:
        start_again(folder)
    print(f"Snakemake ended with {code}")
    assert_undisturbed(folder, expected)
    assert_no_score_made_twice(folder)


def test_after_an_outage_a_new_start_gives_the_same_bytes(
    slurm_node: None, folder: Path, expected: list[bytes]
) -> None:
    """Snakemake is killed, and one of its two jobs; the other goes on beside the one that is submitted in its place."""
    with submitting(folder, config_of(SHARDS), *TARGETS) as process:
        wait_for_scores(folder, process)
        with controller_down():
            before = len(scored(folder))
            time.sleep(OUTAGE)
            assert len(scored(folder)) > before
            assert process.poll() is None
    running = in_state("RUNNING")  # none, where the outage was longer than both
    for job in running[:1]:
        slurm("scancel", job)
    unlock_and_submit(folder)
    wait_until(lambda: not set(running) & set(in_state("RUNNING")), "the end of the first jobs")
    assert_undisturbed(folder, expected)


def start_again(folder: Path) -> None:
    """What docs/clusters.md says to do once Snakemake has been killed, jobs cancelled to save their time."""
    slurm("scancel", "--user=root")
    wait_until(lambda: not in_state("RUNNING,COMPLETING"), "the end of cancelled jobs")
    unlock_and_submit(folder)


def unlock_and_submit(folder: Path) -> None:
    """Free the folder from a killed Snakemake, and run the same command again."""
    submit(folder, config_of(SHARDS), *TARGETS, "--unlock")
    submit(folder, config_of(SHARDS), *TARGETS)
