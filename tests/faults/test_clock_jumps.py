"""A clock that jumps back and forth by days, between jobs and within them, and one that is wrong under Snakemake.

libfaketime (Debian's package `faketime`) stands between every process and its clock; `make test-faults` fetches it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from fault_injection import Step, fault_config, journaled
from small_workflow import REPOSITORY, SEARCH, environment, generation_bytes, generation_paths, run_workflow

pytestmark = pytest.mark.faults
PAGE = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")

ROUND = 2  # generations of a job
DAYS = (3, -40, 0, 400, -2, 17)
SECONDS = 0.2  # between two jumps; a job takes seconds
DAY = 86400
# The command of docs/faults.md that gives files from the future the present time.
IN_THE_FUTURE = next(line for line in PAGE.splitlines() if line.startswith("find results -newermt now"))


@contextmanager
def shifted_clock(place: Path, days: int = 0) -> Iterator[Path]:
    """Processes that are started see a time of day that is off by ``days``, or by the seconds in the file it gives.

    Durations, which come from the monotonic clock, are right.
    """
    if shutil.which("faketime") is None:
        pytest.skip("no faketime here, which changes the clock of single processes: apt-get install faketime")
    preload = ["faketime", "-m", "1 day ago", "printenv", "LD_PRELOAD"]
    shown = subprocess.run(preload, capture_output=True, text=True, check=True)
    shift = place / "clock"
    shift.write_text(f"{days * DAY:+d}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", shown.stdout.strip())
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(shift))
        for name in ("FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"):
            patch.setenv(name, "1")
        yield shift


@contextmanager
def jumping_clock(place: Path) -> Iterator[None]:
    """The same with a clock that jumps by days, several times a second."""
    with shifted_clock(place) as shift:
        over = threading.Event()
        jumps = threading.Thread(target=jump, args=(shift, over))
        jumps.start()
        try:
            yield
        finally:
            over.set()
            jumps.join()


def jump(shift: Path, over: threading.Event) -> None:
    """Move the clock of whoever reads ``shift`` until it is ``over``."""
    for days in cycle(DAYS):
        if over.wait(SECONDS):
            return
        beside = shift.with_name("next")
        beside.write_text(f"{days * DAY:+d}")
        beside.replace(shift)


def jumps_in(log: Path) -> list[float]:
    """The days between each two lines of a job's log, as far as the clock moved by more than one."""
    stamps = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} ", log.read_text(encoding="utf-8"), re.MULTILINE)
    times = [datetime.fromisoformat(stamp) for stamp in stamps]
    days = [(later - former).total_seconds() / DAY for former, later in pairwise(times)]
    return [found for found in days if abs(found) > 1]


def wait_for_scores(folder: Path, count: int) -> None:
    """Wait until so many scores are kept."""
    deadline = time.monotonic() + 300
    journals = folder / SEARCH / "journal"
    while sum(path.read_bytes().count(b"\n") for path in journals.glob("*.jsonl")) < count:
        assert time.monotonic() < deadline, "waited in vain for scores"
        time.sleep(0.02)


def without_search(folder: Path) -> Path:
    """``folder`` as it was before its search."""
    shutil.rmtree(folder / SEARCH)
    shutil.rmtree(folder / "logs")
    return folder


def assert_undisturbed(folder: Path, undisturbed: Path) -> None:
    """The same generations, and no score made twice."""
    assert generation_bytes(folder, 2 * ROUND) == generation_bytes(undisturbed, 2 * ROUND)
    assert sorted(journaled(folder)) == sorted(journaled(undisturbed))


def assert_jumped(folder: Path) -> None:
    """The logs of the jobs show that their clock went forth and back."""
    found = [days for log in (folder / "logs").rglob("search-*.log") for days in jumps_in(log)]
    assert min(found) < -1, "the clock never went back within a job"
    assert max(found) > 1, "the clock never went forward within a job"


@pytest.mark.timeout(1200)
def test_jobs_on_a_clock_that_jumps_by_days_write_the_same_bytes(
    finished: Callable[..., Path], steps: list[Step], undisturbed: Path, tmp_path: Path
) -> None:
    """Two rounds of a search, the first killed and started again."""
    folder = without_search(finished())
    first, second = (step for step in steps if step.rule.startswith("search+"))
    with jumping_clock(tmp_path):
        killed = start(first, folder)
        wait_for_scores(folder, 3)
        killed.kill()
        killed.wait()
        assert [start(step, folder).wait(timeout=600) for step in (first, second)] == [0, 0]
    assert_jumped(folder)
    assert_undisturbed(folder, undisturbed)


def start(step: Step, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "lcsc", *step.words], cwd=folder, env=environment())


@pytest.mark.timeout(1200)
def test_snakemake_on_a_wrong_clock_says_so_and_loses_nothing(
    whole_suite: None, finished: Callable[..., Path], undisturbed: Path, tmp_path: Path
) -> None:
    """Back, it calls the outputs of a job older than its inputs; forward, those of the next job, on the right clock."""
    folder = without_search(finished())

    def run(generations: int) -> subprocess.CompletedProcess[str]:
        return run_workflow(folder, fault_config(), *generation_paths(generations), check=False)

    with shifted_clock(tmp_path, -40):
        back = run(ROUND)
    assert "clock skew" in back.stdout
    assert len(journaled(folder)) > 0
    with shifted_clock(tmp_path, 400):
        forward = run(ROUND)
        if "OSError: [Errno 22]" in forward.stdout:  # libfaketime's `sleep` at times, on a busy machine
            forward = run(ROUND)
    assert forward.returncode == 0, forward.stdout
    assert "clock skew" in run(2 * ROUND).stdout
    subprocess.run(shlex.split(IN_THE_FUTURE), cwd=folder, check=True)
    last = run(2 * ROUND)
    assert last.returncode == 0, last.stdout
    assert_undisturbed(folder, undisturbed)
