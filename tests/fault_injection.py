"""What the fault suite shares: a pipeline of few and short jobs, what of it must be the same bytes, and kills."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from small_workflow import command, environment, run_workflow, small_config

REPORT = "results/tiny/report/report.html"
# What holds seconds, and so differs from run to run by design. Whatever else stands under results/ must not.
TIMED = ("timings", "journal", "report")


@dataclass(frozen=True)
class Undisturbed:
    """A folder in which the pipeline ran from images to the report, and the seconds that took."""

    folder: Path
    seconds: float


def fault_config() -> dict[str, Any]:
    """The small workflow with one training and one search: 16 jobs, from images to the report."""
    config = small_config(generations=4, per_round=2)
    defaults = config["defaults"]
    defaults["train"] |= {"power_ema": None, "continue": 0, "decayed": False}
    defaults["baselines"] = {"ema_shaped": [0.8, 0.9], "windows": [3], "post_hoc": []}
    defaults["fine_tune"] = None
    del defaults["searches"]["tensor"]
    return config


def results_of(folder: Path) -> dict[str, bytes]:
    """All files under ``folder``/results that must be the same bytes in every run, by path.

    What Snakemake keeps for itself in output folders is left out; temporary files of ours are not.
    """
    root = folder / "results"
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp")
    found = ((path.relative_to(root), path) for path in files)
    return {str(name): path.read_bytes() for name, path in found if not set(TIMED) & set(name.parts)}


def assert_same_results(folder: Path, undisturbed: Path) -> None:
    """Compare all files that must be the same, and that nothing half written lies beside any."""
    found, expected = results_of(folder), results_of(undisturbed)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
    assert [str(path) for path in (folder / "results").rglob("*.part")] == []
    assert (folder / REPORT).is_file()


@contextmanager
def running(folder: Path, config: Mapping[str, Any], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake at work in ``folder``; what it says goes to ``said.txt`` there. Nothing of it outlives the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command(folder, config, *arguments),
            env=environment(),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_all(family(process))
        process.wait()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """``process`` and all that it started, as far as they are alive."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def jobs_among(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that are steps of ours: `lcsc STEP ...`."""
    return [process for process in processes if any(Path(word).name == "lcsc" for word in command_line(process)[:2])]


def command_line(process: psutil.Process) -> list[str]:
    """The words of its command; none where it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def end_all(processes: list[psutil.Process]) -> None:
    """Kill ``processes`` without mercy."""
    for process in processes:
        send(process, signal.SIGKILL)


def send(process: psutil.Process, how: signal.Signals) -> None:
    """Send a signal; nothing happens where the process has ended."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(how)


class Killer:
    """Kills Snakemake or one of its jobs at random moments; the same ``seed`` draws the same moments and victims."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._left: list[psutil.Process] = []

    def moment(self, longest: float) -> float:
        """Seconds until the next kill."""
        return float(self._random.uniform(0.0, longest))

    def strike(self, process: subprocess.Popen[bytes]) -> tuple[str, signal.Signals] | None:
        """Kill Snakemake or a job of it and wait until Snakemake has ended; what was killed, None where too late.

        Where Snakemake was killed, its jobs go on in half of the cases, as they do on a cluster.
        """
        how = (signal.SIGKILL, signal.SIGTERM)[self._random.integers(2)]
        at_snakemake, orphans, place = self._random.integers(2, size=3)
        alive = family(process)
        jobs = jobs_among(alive)
        if not alive:
            return None
        if at_snakemake or not jobs:
            send(alive[0], how)
            if how == signal.SIGKILL and not orphans:
                end_all(alive[1:])
            self._left = alive[1:]
            struck = "snakemake", how
        else:
            victim = jobs[place % len(jobs)]
            struck = f"lcsc {command_line(victim)[2:3]}", how
            send(victim, how)
        process.wait(timeout=300)
        return struck

    def wait_for_orphans(self) -> None:
        """Wait until the jobs that went on without their Snakemake have ended."""
        _, alive = psutil.wait_procs(self._left, timeout=300)
        assert not alive


def mounting_allowed() -> bool:
    """Whether this process may mount file systems: as root, outside an unprivileged container."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[Path]:
    """A file system mounted at ``place`` with `mount ARGUMENTS place`; skips the test where that is not allowed."""
    place.mkdir(parents=True, exist_ok=True)
    if not mounting_allowed():
        pytest.skip("mounting is not allowed here")
    done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not possible here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@dataclass(frozen=True)
class Step:
    """A job of the pipeline: its rule, the files and folders that it makes, and the words after `lcsc`."""

    rule: str
    outputs: tuple[str, ...]
    words: tuple[str, ...]


def steps_of(folder: Path, config: Mapping[str, Any]) -> list[Step]:
    """All jobs of the pipeline in the order in which Snakemake would run them in ``folder``."""
    plain = ("--dry-run", "--forceall", "--printshellcmds", "--workflow-profile", "none")
    said = run_workflow(folder, config, *plain).stdout
    found = re.findall(
        r"^rule (\S+):\n(?:.*\n)*?    output: (.+)\n(?:.*\n)*?Shell command: lcsc (.+)$", said, re.MULTILINE
    )
    return [Step(rule, tuple(outputs.split(", ")), tuple(shlex.split(words))) for rule, outputs, words in found]


def journaled(folder: Path) -> list[str]:
    """The candidates in all journals of a search under ``folder``, one for each score that was made and kept."""
    paths = sorted((folder / "results").glob("*/search/*/journal/*.jsonl"))
    return [json.loads(line)["candidate"] for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
