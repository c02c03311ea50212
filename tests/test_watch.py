"""A command with the state of its runs in view: on a terminal of its own, and where there is none."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from lcsc.cli import main
from lcsc.status.live import frame, shortened

REPOSITORY = Path(__file__).resolve().parent.parent
STATE = """one: 1 of 3 steps done
  ✓ collect
  ▶ baselines  3/50
  · evaluate

two: 1 of 1 steps done
  ✓ collect"""
# Says that three of ten jobs are done, and ends with 3; with 5 where it is interrupted before.
COMMAND = """
import time
print("3 of 10 steps (30%) done", flush=True)
try:
    time.sleep({seconds})
except KeyboardInterrupt:
    raise SystemExit(5)
print("the end")
raise SystemExit(3)
"""


def run_on_terminal(folder: Path, seconds: float, *, interrupt: bool = False) -> tuple[str, int]:
    """What ``lcsc watch`` shows on a terminal, and its exit code."""
    words = [sys.executable, "-m", "lcsc", "watch", "--every", "0.1", "--"]
    words += [sys.executable, "-c", COMMAND.format(seconds=seconds)]
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a worker of pytest-xdist ignores it, and this would inherit that
        os.chdir(folder)
        os.execve(sys.executable, words, {**os.environ, "PYTHONPATH": str(REPOSITORY)})
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other side is closed
            break
        if interrupt and b"30%" in shown:
            os.write(terminal, b"\x03")
            interrupt = False
    os.close(terminal)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_without_a_terminal_the_command_prints_its_own_lines(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["watch", "--", sys.executable, "-c", COMMAND.format(seconds=0)])
    assert ended.value.code == 3
    assert capfd.readouterr().out.splitlines() == ["3 of 10 steps (30%) done", "the end"]
    assert not list(tmp_path.iterdir())


def test_on_a_terminal_the_state_is_in_view_and_the_last_lines_follow(tmp_path):
    (tmp_path / "results" / "tiny" / "bank").mkdir(parents=True)
    (tmp_path / "results" / "tiny" / "bank" / "index.json").write_text("{}")
    shown, code = run_on_terminal(tmp_path, 1.5)
    assert code == 3
    view, _, last = shown.rpartition("\x1b[H\x1b[J")
    assert "tiny: 1 of 5 steps done" in view
    assert "✓ collect" in view
    assert "3 of 10 steps (30%) done · 0:0" in view
    assert last.split("\r\n")[:2] == ["3 of 10 steps (30%) done", "the end"]
    assert (tmp_path / "logs" / "watch.log").read_text().splitlines() == ["3 of 10 steps (30%) done", "the end"]


def test_an_interrupt_reaches_the_command_which_ends_as_it_will(tmp_path):
    began = time.monotonic()
    shown, code = run_on_terminal(tmp_path, 100.0, interrupt=True)
    assert code == 5
    assert time.monotonic() - began < 80
    assert "Traceback" not in shown


def test_runs_that_do_not_fit_are_shortened_to_what_is_under_way(monkeypatch):
    assert shortened(STATE.splitlines()) == ["one: 1 of 3 steps done", "  ▶ baselines  3/50"]
    monkeypatch.setenv("LINES", "8")
    monkeypatch.setenv("COLUMNS", "80")
    assert "two" not in frame(STATE, "", 61.0)
    monkeypatch.setenv("LINES", "30")
    assert "two" in frame(STATE, "", 61.0)
    assert frame(STATE, "1 of 4 steps (25%) done\n2 of 4 steps (50%) done\n", 61.0).endswith(
        "2 of 4 steps (50%) done · 1:01 · Ctrl-C ends the work"
    )


@pytest.mark.parametrize(
    ("words", "message"), [([], "found no command"), (["--", "no-such-program"], "no-such-program: cannot be started")]
)
def test_what_cannot_be_run_is_said_in_one_line(words, message, capsys):
    assert main(["watch", *words]) == 2
    assert message in capsys.readouterr().err
