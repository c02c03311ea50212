"""The time of day decides nothing: it jumps, and differs from machine to machine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from lcsc.progress import Progress

SOURCES = sorted((Path(__file__).resolve().parent.parent / "lcsc").rglob("*.py"))
# Durations come from clocks that nobody sets: time.monotonic and time.perf_counter.
OF_DAY = re.compile(r"time\.(time|time_ns|localtime|gmtime|ctime|strftime)|(datetime|date)(\.\w+)*\.(now|today|utcnow)")
# It shows how long ago a log was written, and changes nothing: no step reads what it says.
SHOWN = "lcsc/status"
TOUCHED = ("st_mtime", "st_mtime_ns", "st_ctime", "st_atime", "getmtime", "getctime")


def readings(source: str) -> list[str]:
    """The readings of the time of day, and of the times of files, in ``source``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if OF_DAY.fullmatch(name) or name.rpartition(".")[2] in TOUCHED:
            found.append(name)
    return found


def test_the_check_sees_every_way() -> None:
    for line in ("time.time()", "datetime.datetime.now()", "date.today()", "path.stat().st_mtime", "getmtime"):
        assert readings(f"x.{line}" if line == "getmtime" else line)
    assert not readings("time.monotonic() - time.perf_counter()")


def test_no_step_reads_the_time_of_day_or_of_a_file() -> None:
    steps = [path for path in SOURCES if SHOWN not in path.as_posix()]
    assert len(steps) < len(SOURCES)
    assert {path.name: found for path in steps if (found := readings(path.read_text(encoding="utf-8")))} == {}


def test_no_step_imports_what_reads_the_time_for_show() -> None:
    importing = [path for path in SOURCES if "lcsc.status" in path.read_text(encoding="utf-8")]
    assert {path.parent.name for path in importing} <= {"status", "cli"}


def test_a_clock_that_goes_back_gives_no_negative_times() -> None:
    progress = Progress("work", 4)
    progress.advance(1)
    assert progress.line(progress._began - 100.0) == "work 1/4 (25%) · ETA 0:00"
    progress.done = 4
    assert progress.line(progress._began - 100.0).endswith("took 0:00")
