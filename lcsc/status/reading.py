"""The state of each step of a run, from what it has written and the last line of its log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lcsc.errors import InputError

State = Literal["done", "working", "failed", "waiting"]
UNDER_WAY = "ETA"  # stands in progress lines of work that has not ended
ERRORS = ("ERROR", "CRITICAL")  # levels of what a step ends with when it fails
SILENT = 600.0  # seconds after which a step that says nothing may have been killed
OTHERS = ("shared", "figures")  # folders of the results that are no runs
_LINE = re.compile(r"^\S+ \S+ (\w+) (.*)$")
_ROUND = re.compile(r"-\d+(\.\w+-\d+)?$")
START = "ema-shaped"


@dataclass(frozen=True)
class Step:
    """One step of a run: ``detail`` is what it last said, or what it found."""

    name: str
    state: State
    detail: str = ""


def runs_in(results: Path) -> list[Path]:
    """The folders of runs in ``results``, the newest last."""
    found = [path for path in results.iterdir() if path.is_dir() and path.name not in OTHERS]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def steps_of(run: Path, logs: Path, now: float | None = None) -> list[Step]:
    """Every step of the run in ``run`` that has begun, in the order of the workflow, and those that always come.

    ``logs`` is the folder of the run's logs; ``now`` the time that silence is counted from (seconds since 1970).
    Raises :class:`InputError` for a folder that is not there.
    """
    if not run.is_dir():
        raise InputError(f"{run}: not found; expected the results folder of a run")
    moment = time.time() if now is None else now
    said = {path.stem: path for path in logs.glob("*.log")} if logs.is_dir() else {}
    return list(_steps(run, said, moment))


def _steps(run: Path, said: Mapping[str, Path], now: float) -> Iterator[Step]:
    for name in _names(run / "train", said, "train-"):
        yield _step(f"train {name}", run / "train" / name / "manifest.json", said.get(f"train-{name}"), now)
    yield _step("collect", run / "bank" / "index.json", said.get("collect"), now)
    for name in _names(run / "tune", said, "tune-"):
        yield _step(f"fine-tune {name}", run / "tune" / name / "manifest.json", said.get(f"tune-{name}"), now)
    yield _step("baselines", run / "baselines.json", said.get("baselines"), now)
    for name in _searches(run, said):
        yield _search(run / "search" / name, _logs_of(said, name), now)
        yield _step(f"select {name}", run / "search" / name / "selection.json", said.get(f"select-{name}"), now)
    yield _step("evaluate", run / "evaluation.json", said.get("evaluate"), now)
    yield _step("export", run / "export" / "recipe.json", said.get("export"), now)
    yield _step("report", run / "report" / "report.html", said.get("report"), now)


def _names(folder: Path, said: Mapping[str, Path], prefix: str) -> list[str]:
    there = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    return sorted(there | {stem.removeprefix(prefix) for stem in said if stem.startswith(prefix)})


def _searches(run: Path, said: Mapping[str, Path]) -> list[str]:
    return _names(run / "search", {_ROUND.sub("", stem): path for stem, path in said.items()}, "search-")


def _logs_of(said: Mapping[str, Path], search: str) -> list[Path]:
    """The logs of the rounds and shards of a search, that which was written to last at the end."""
    found = [path for stem, path in said.items() if _ROUND.sub("", stem) == f"search-{search}"]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def _step(name: str, output: Path, log: Path | None, now: float) -> Step:
    if output.exists():
        return Step(name, "done")
    if log is None:
        return Step(name, "waiting")
    if error := _error(log):
        return Step(name, "failed", error)
    return Step(name, "working", _last_words(log, now))


def _search(folder: Path, logs: list[Path], now: float) -> Step:
    name = f"search {folder.name}"
    if (folder / "selection.json").exists():
        return Step(name, "done", _course(folder))
    said = _last_words(logs[-1], now) if logs else ""
    # A try writes its log anew: an error at the end of one, also of a shard beside others at work, is not made good.
    error = next(filter(None, map(_error, reversed(logs))), "")
    words = [text for text in (error, _course(folder), said if UNDER_WAY in said else "") if text]
    return Step(name, "failed" if error else "working" if words else "waiting", " · ".join(words))


def _course(folder: Path) -> str:
    """Generations that stand, the best score, and that of the best EMA-shaped start on the same noise."""
    paths = sorted(folder.glob("generation-*.json"))
    candidates = [c for path in paths for c in _read(path).get("candidates", ()) if c.get("score") is not None]
    if not candidates:
        return ""
    best = min(c["score"] for c in candidates)
    starts = [c["score"] for c in candidates if str(c.get("origin", "")).startswith(START) and not c.get("noise")]
    beside = f", best EMA-shaped start {min(starts):.4g} ({best / min(starts):.2f}×)" if starts else ""
    return f"generation {len(paths) - 1} · best {best:.4g}{beside}"


def _read(path: Path) -> dict[str, Any]:
    """A generation's record; empty while another process replaces it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(log: Path) -> list[tuple[str, str]]:
    """The lines that a step would print, each with its level; none while the log is made anew."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [(found[1], found[2]) for line in lines if (found := _LINE.match(line)) and found[1] != "DEBUG"]


def _error(log: Path) -> str:
    """The error that a step ended with, and its log; nothing for a step that did not."""
    level, words = (_shown(log) or [("", "")])[-1]
    return f"{words.removeprefix('error: ')} · see {log}" if level in ERRORS else ""


def _last_words(log: Path, now: float) -> str:
    """The last line that a step would print, and for how long it has said nothing, where that is long."""
    shown = _shown(log)
    try:
        silence = now - log.stat().st_mtime
    except OSError:
        return ""
    last = shown[-1][1] if shown else ""
    quiet = f"silent for {silence / 60:.0f} min, see {log}" if silence > SILENT and UNDER_WAY in last else ""
    return " · ".join(part for part in (last, quiet) if part)
