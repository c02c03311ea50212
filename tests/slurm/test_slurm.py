"""A search in shards through a real Slurm of one node: a job for each heavy step, and the bytes of a local run.

`make test-slurm` starts the scheduler (tests/slurm/start-slurm.sh: Debian or Ubuntu, root) and these tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_workflow import REPOSITORY, SNAKEFILE, environment, run_workflow, small_config

pytestmark = pytest.mark.slurm
SCRIPT = Path(__file__).with_name("start-slurm.sh")
PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
GENERATIONS, SHARDS, IMAGES = 2, 4, 150
NAMES = ("evolution", "tensor")
# Rules that must never run on the machine where Snakemake runs.
HEAVY = ("train", "train_extractor", "reference_statistics", "collect_checkpoints", "baselines", "fine_tune")


def missing() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    if not (shutil.which("slurmctld") or shutil.which("apt-get")):
        return "neither Slurm nor apt-get is here"
    return None


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    if reason := missing():
        pytest.skip(reason)
    settings = {**os.environ, "ONENODE_CPUS": "4", "ONENODE_GPUS": "2"}
    subprocess.run(["bash", SCRIPT, "start"], env=settings, check=True, timeout=300)
    yield
    subprocess.run(["bash", SCRIPT, "purge"], env=settings, check=True, timeout=120)


def sharded(shards: int) -> dict[str, Any]:
    """The small configuration with a gradient and an evolutionary search in ``shards``."""
    config = small_config(GENERATIONS, 20, images=IMAGES)
    for name in NAMES:
        config["defaults"]["searches"][name] |= {"generations": GENERATIONS, "shards": shards}
    return config


def submit(folder: Path, config: dict[str, Any], *targets: str) -> str:
    """Run the workflow through Slurm by the profile; what Snakemake said."""
    (folder / "given.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = ["timeout", "-k", "30", "1200", "snakemake", "--snakefile", SNAKEFILE, "--directory", folder]
    # This Slurm has no accounting, and jobs that take seconds need looks as often.
    here = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "8"]
    here += ["--jobs", "4", "--max-threads", "1", "--latency-wait", "10", "--quiet", "reason"]
    done = subprocess.run(
        [*command, *targets, "--workflow-profile", PROFILE, *here, "--configfile", folder / "given.yaml"],
        env={**environment(), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """The generations, the choices of both searches, and the final numbers."""
    search = folder / "results/tiny/search"
    paths = [path for name in NAMES for path in sorted((search / name).glob("*.json"))]
    paths.append(folder / "results/tiny/evaluation.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.timeout(1800)
def test_a_search_in_shards_through_slurm_has_the_bytes_of_a_local_one(slurm: None, tmp_path: Path) -> None:
    local, cluster = tmp_path / "local", tmp_path / "cluster"
    local.mkdir(), cluster.mkdir()
    target = "results/tiny/evaluation.json"
    run_workflow(local, sharded(1), target)
    said = submit(cluster, sharded(SHARDS), target)
    assert contents(cluster) == contents(local)
    submitted = re.findall(r"has been submitted with SLURM jobid (\d+) \(log: \S*?/rule_([^/]+)/", said)
    counts = {rule: [job for job, name in submitted if name == rule] for _, rule in submitted}
    assert len({job for job, _ in submitted}) == len(submitted)
    for rule in HEAVY:
        assert counts.get(rule), f"{rule} was not submitted: {sorted(counts)}"
    assert len(counts["forward+tiny+evolution"]) == SHARDS * GENERATIONS
    assert len(counts["backward+tiny+tensor"]) == SHARDS * GENERATIONS
    assert "data" not in counts


def test_a_job_with_a_gpu_gets_one(slurm: None, tmp_path: Path) -> None:
    done = subprocess.run(
        ["srun", "--gpus=1", "--mem=100", "--time=2", "bash", "-c", "echo devices $CUDA_VISIBLE_DEVICES"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert re.search(r"devices \d", done.stdout), done.stdout
