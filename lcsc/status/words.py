"""The state of runs as text, once or again and again."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lcsc.status.reading import Step, steps_of

SIGNS = {"done": "✓", "working": "▶", "failed": "✗", "waiting": "·"}
CLEAR = "\x1b[H\x1b[J"


def text_of(run: str, steps: Sequence[Step], width: int) -> str:
    """A line for each step; lines are cut to ``width`` characters."""
    size = max(len(step.name) for step in steps)
    finished = sum(step.state == "done" for step in steps)
    failed = sum(step.state == "failed" for step in steps)
    lines = [f"{run}: {finished} of {len(steps)} steps done" + (f", {failed} failed" if failed else "")]
    lines += [f"  {SIGNS[step.state]} {step.name:<{size}}  {step.detail}".rstrip() for step in steps]
    return "\n".join(line if len(line) <= width else f"{line[: width - 1]}…" for line in lines)


def show(runs: Sequence[Path], logs: Path) -> str:
    """The state of each of ``runs``, whose logs are in folders of their names below ``logs``."""
    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 1000
    return "\n\n".join(text_of(run.name, steps_of(run, logs / run.name), width) for run in runs)


def watch(runs: Callable[[], Sequence[Path]], logs: Path, seconds: float) -> None:
    """Show the state until every step is done or the user stops it: in place on a terminal, else what is new."""
    before: set[str] = set()
    while True:
        text = show(runs(), logs)
        if sys.stdout.isatty():
            print(f"{CLEAR}{text}\n\nevery {seconds:g} s; Ctrl-C ends the view, not the work", flush=True)
        else:
            lines = text.splitlines()
            print(*(line for line in lines if line and line not in before), sep="\n", flush=True)
            before = set(lines)
        if all(step.state == "done" for run in runs() for step in steps_of(run, logs / run.name)):
            return
        time.sleep(seconds)
