"""Kills at any moment, of any job and of Snakemake itself: resumed as the README says, the same bytes come out."""

from __future__ import annotations

import collections
import shutil
import subprocess
from pathlib import Path

import pytest
from fault_injection import Killer, Undisturbed, assert_same_results, fault_config, running
from small_workflow import run_workflow

pytestmark = pytest.mark.faults

SEED = 5
# A kill comes within this share of the time of an undisturbed run: late enough for jobs to end between two kills.
LONGEST = 0.25
# A job that outlived its Snakemake may still be collecting; the user waits for it.
REFUSED = "a bank is collected there"


@pytest.mark.timeout(3600)
def test_a_chain_of_kills_and_resumes_gives_the_same_bytes(
    undisturbed_run: Undisturbed, tmp_path: Path, kills: int
) -> None:
    """Whenever the pipeline is done before its next kill, all its results go and it begins again."""
    folder, killer = tmp_path / "chain", Killer(SEED)
    struck: collections.Counter[str] = collections.Counter()
    while struck.total() < kills:
        victim = run_until_killed(folder, killer, undisturbed_run.seconds * LONGEST)
        if victim is not None:
            struck[victim] += 1
            run_workflow(folder, fault_config(), "--unlock")
            continue
        killer.wait_for_orphans()
        assert_same_results(folder, undisturbed_run.folder)
        shutil.rmtree(folder / "results")
    run_workflow(folder, fault_config())
    killer.wait_for_orphans()
    assert_same_results(folder, undisturbed_run.folder)
    print(f"{struck.total()} kills: {dict(sorted(struck.items()))}")


def run_until_killed(folder: Path, killer: Killer, longest: float) -> str | None:
    """Start Snakemake and kill it or a job; what was killed, None where all was done before."""
    with running(folder, fault_config()) as process:
        try:
            process.wait(timeout=killer.moment(longest))
        except subprocess.TimeoutExpired:
            struck = killer.strike(process)
            if struck is not None:
                return f"{struck[0]} {struck[1].name}"
        if process.wait() != 0:
            said = (folder / "said.txt").read_text()
            assert REFUSED in said, said
            killer.wait_for_orphans()
            return run_until_killed(folder, killer, longest)
    return None
