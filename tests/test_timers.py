"""Timers that would keep a program from ending."""

from __future__ import annotations

import re
import threading

from small_workflow import SNAKEFILE

from lcsc.timers import cancel_timers


def test_a_timer_ends_at_once_and_does_nothing() -> None:
    went_off: list[int] = []
    timer, other = threading.Timer(1000, went_off.append, [1]), threading.Thread(target=went_off.append, args=[2])
    timer.start(), other.start()
    cancel_timers()
    timer.join(60)
    other.join(60)
    assert not timer.is_alive()
    assert went_off == [2]


def test_the_workflow_leaves_none_however_it_ends() -> None:
    text = SNAKEFILE.read_text(encoding="utf-8")
    handlers = re.findall(r"^(onsuccess|onerror):\n((?:    .*\n)+)", text, re.MULTILINE)
    assert {name for name, body in handlers if "cancel_timers()" in body} == {"onsuccess", "onerror"}
