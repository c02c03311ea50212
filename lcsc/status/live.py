"""A command with the state of its runs in view: one live view on a terminal, the command's own lines elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from lcsc.errors import InputError, LcscError, reason_of
from lcsc.progress import clock
from lcsc.status.words import CLEAR, SIGNS

TAIL = 1 << 16  # bytes of what the command said that are looked at
LAST_LINES = 60  # of them shown when it has ended
_COUNT = re.compile(r"^\d+ of \d+ steps \(\d+%\) done$", re.MULTILINE)


def run_in_view(command: Sequence[str], show: Callable[[], str], said: Path, seconds: float) -> int:
    """Run ``command`` and return its exit code.

    On a terminal what it prints goes to the file ``said``, what ``show`` gives stands in its place, anew every so many
    ``seconds``, and its last lines follow when it has ended. Elsewhere it prints its own lines. Raises
    :class:`InputError` where it cannot be started.
    """
    try:
        if not sys.stdout.isatty():
            return subprocess.run(command, check=False).returncode
        with _opened(said) as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(
            f"{command[0]}: cannot be started ({reason_of(error)}); give a program and its words"
        ) from error
    code = _watched(process, show, said, seconds)
    print(f"{CLEAR}{_last_words(said)}\n\nAll that was said: {said}", flush=True)
    return code


def _opened(said: Path) -> BinaryIO:
    try:
        said.parent.mkdir(parents=True, exist_ok=True)
        return said.open("wb")
    except OSError as error:
        raise LcscError(f"{said}: cannot be written ({reason_of(error)}); choose another --said") from error


def _watched(process: subprocess.Popen[bytes], show: Callable[[], str], said: Path, seconds: float) -> int:
    """Draw until ``process`` ends. Ctrl-C reaches it, too, and it says itself how it ends."""
    began, stopping = time.monotonic(), ""
    while True:
        try:
            print(frame(show(), _tail(said), time.monotonic() - began) + stopping, flush=True)
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:
            stopping = "\nstopping: jobs that run are ended"


def frame(state: str, said: str, elapsed: float) -> str:
    """What a terminal shows: the ``state`` of the runs, shortened to its height, and the jobs that are done."""
    size = shutil.get_terminal_size((120, 40))
    lines = state.splitlines()
    if len(lines) > size.lines - 3:
        lines = shortened(lines)[: size.lines - 3]
    counts = _COUNT.findall(said)
    words = [counts[-1] if counts else "", clock(elapsed), "Ctrl-C ends the work"]
    return f"{CLEAR}" + "\n".join(lines) + "\n\n" + " · ".join(filter(None, words))


def shortened(lines: Sequence[str]) -> list[str]:
    """The steps that are under way or failed, each below the line of its run."""
    found: list[str] = []
    run = ""
    for line in lines:
        if line and not line.startswith(" "):
            run = line
        elif line.strip() and line.strip()[0] not in (SIGNS["done"], SIGNS["waiting"]):
            found += [run] if run else []
            found.append(line)
            run = ""
    return found


def _tail(said: Path) -> str:
    with said.open("rb") as stream:
        stream.seek(max(0, said.stat().st_size - TAIL))
        return stream.read().decode("utf-8", errors="replace")


def _last_words(said: Path) -> str:
    return "\n".join(_tail(said).splitlines()[-LAST_LINES:])
