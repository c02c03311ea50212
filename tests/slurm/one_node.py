"""Slurm on this machine alone (start-slurm.sh), and the workflow run through it by the repository's profile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from small_workflow import REPOSITORY, SNAKEFILE, environment

SCRIPT = Path(__file__).with_name("start-slurm.sh")
PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
# More CPUs than most machines for tests have: what is tested is that jobs run, not how fast.
SETTINGS = {"ONENODE_CPUS": "4", "ONENODE_GPUS": "2"}
# Seconds after which Snakemake is ended, whatever it does: an outage of Slurm can leave it waiting for ever.
LIMIT = float(os.environ.get("ONENODE_LIMIT", "1200"))
NO_PACKAGES = 69  # what the script ends with where apt-get cannot install Slurm
# Without accounting; jobs of seconds need looks as often; more threads than one would only wait for each other.
HERE = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5", "--jobs", "4"]
HERE += ["--max-threads", "1", "--latency-wait", "10", "--quiet", "reason"]


def missing() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    if os.geteuid() != 0:
        return "no Slurm: starting one needs root"
    if not (shutil.which("slurmctld") or shutil.which("apt-get")):
        return "no Slurm: neither slurmctld nor apt-get is here"
    found = Path("/etc/slurm/slurm.conf")
    if found.exists() and "written by start-slurm.sh" not in found.read_text(encoding="utf-8"):
        return f"no Slurm of our own: {found} is another's"
    return None


def start() -> str | None:
    """Start Slurm; why it cannot be installed, where it cannot."""
    done = _script("start", timeout=400)
    if done.returncode == NO_PACKAGES:
        return f"no Slurm: {done.stdout.strip().splitlines()[-1]}"
    assert done.returncode == 0, done.stdout
    return None


def purge() -> None:
    """End Slurm and remove its files, also those of jobs that still run."""
    _done("purge")


@contextmanager
def controller_down() -> Iterator[None]:
    """Slurm's controller has ended for as long as the block lasts; the jobs that run go on."""
    _done("outage")
    try:
        yield
    finally:
        _done("recover")


@contextmanager
def drained() -> Iterator[None]:
    """The node takes no new jobs for as long as the block lasts; those that run may end."""
    _state("drain", "reason=test")
    try:
        yield
    finally:
        _state("resume")


def _done(action: str) -> None:
    done = _script(action, timeout=120)
    assert done.returncode == 0, done.stdout


def _state(state: str, *words: str) -> None:
    subprocess.run(["scontrol", "update", "nodename=node1", f"state={state}", *words], check=True, timeout=60)


def _script(action: str, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SCRIPT, action],
        env={**os.environ, **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def command(folder: Path, config: Mapping[str, Any], *arguments: str, limit: float = LIMIT) -> list[str]:
    """The command that runs the workflow in ``folder`` through Slurm, ended after ``limit`` seconds."""
    path = folder / "given.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    outer = ["timeout", "-k", "30", str(limit), "snakemake", "--snakefile", str(SNAKEFILE), "--directory", str(folder)]
    return [*outer, *arguments, "--workflow-profile", str(PROFILE), *HERE, "--configfile", str(path)]


@contextmanager
def submitting(
    folder: Path, config: Mapping[str, Any], *arguments: str, limit: float = LIMIT
) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake at work in ``folder`` through Slurm; it says so in ``said.txt``, and ends with the block."""
    with (folder / "said.txt").open("wb") as output:
        process = subprocess.Popen(
            command(folder, config, *arguments, limit=limit),
            env=shell_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def submit(folder: Path, config: Mapping[str, Any], *arguments: str, check: bool = True) -> str:
    """Run the workflow in ``folder`` through Slurm; what Snakemake said."""
    with submitting(folder, config, *arguments) as process:
        process.wait()
    assert process.returncode == 0 or not check, said(folder)[-6000:]
    return said(folder)


def said(folder: Path) -> str:
    """What Snakemake has said so far."""
    return (folder / "said.txt").read_text(encoding="utf-8")


def shell_environment() -> dict[str, str]:
    """The environment of a user's shell, in which this Python's own is activated; jobs inherit it."""
    known = environment()
    path = os.pathsep.join([str(Path(sys.executable).parent), known.get("PATH", os.defpath)])
    return {**known, "PATH": path, "LC_ALL": "C.UTF-8"}


def submitted(said: str) -> dict[str, list[str]]:
    """The ids of the Slurm jobs of each rule, from what Snakemake said."""
    jobs: dict[str, list[str]] = {}
    for job, rule in re.findall(r"has been submitted with SLURM jobid (\d+) \(log: \S*?/rule_([^/]+)/", said):
        jobs.setdefault(rule, []).append(job)
    return jobs


def finished(said: str) -> list[str]:
    """The rule of each job that ended well, from what Snakemake said."""
    return re.findall(r"^Finished jobid: \d+ \(Rule: (.+)\)$", said, re.MULTILINE)
