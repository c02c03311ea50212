"""Scores as they come, on disk at once, so that a killed job goes on where it was.

A journal is a text file of one JSON record a line for each (protocol, bank), keyed by the candidate. It is
no declared output of any rule: Snakemake deletes those of a job that failed. Lines that are cut off or damaged
fail their check sum and count as not there. Jobs that run at once write a file each, and know what stands in all.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.errors import LcscError
from lcsc.evaluation import Score
from lcsc.files import canonical_json, make_folder
from lcsc.progress import logger
from lcsc.search.base import Candidate


class Journal:
    """The scores of one search in ``folder``; ``key`` is a hash of all that fixes them beside the candidate.

    ``writer`` names the file that is written, for one of several jobs; those of all writers are read.
    """

    def __init__(self, folder: Path, key: str, writer: str = "") -> None:
        make_folder(folder)
        self.path = folder / ".".join(part for part in (key[:16], writer, "jsonl") if part)
        self._key = key
        self._lock = threading.Lock()
        self._scores: dict[tuple[str, bool], Score] = {}
        for path in sorted(folder.glob(f"{key[:16]}*.jsonl")):
            if path != self.path:  # another job may be writing its last line, which counts as not there
                self._take(_content(path))
        self._read()

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, candidate: Candidate, with_gradient: bool = False) -> Score | None:
        """The score of ``candidate`` if it is known.

        Scores ``with_gradient`` are kept apart: another order of sums makes them, so their last bits may differ.
        """
        return self._scores.get((candidate.fingerprint, with_gradient))

    def add(self, candidate: Candidate, score: Score, with_gradient: bool = False) -> None:
        """Write a score and wait until it is on the disk."""
        record: dict[str, Any] = {"candidate": candidate.fingerprint, "key": self._key, "with_gradient": with_gradient}
        record |= {"score": score.value, "reason": score.reason, "seconds": round(score.seconds, 6)}
        record["gradient"] = None if score.gradient is None else score.gradient.tolist()
        line = canonical_json({**record, "check": _check(record)}) + "\n"
        with self._lock:
            self._append(line.encode())
            self._scores[candidate.fingerprint, with_gradient] = score

    def _append(self, line: bytes) -> None:
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                while line:  # what was not written at once has no space, and the system says why
                    line = line[os.write(handle, line) :]
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise LcscError(
                f"{self.path}: cannot be written ({error.strerror}); free space, then start again"
            ) from error

    def _read(self) -> None:
        content = _content(self.path)
        damaged = self._take(content)
        last = content.rpartition(b"\n")[2]
        if last and _valid_record(last, self._key):
            self._append(b"\n")
        elif last:  # cut off by a kill
            self._cut(len(content) - len(last))
        if damaged:
            logger.warning("%s: %d damaged line(s) skipped; those candidates are scored again", self.path, damaged)

    def _cut(self, length: int) -> None:
        try:
            os.truncate(self.path, length)
        except OSError as error:
            raise LcscError(
                f"{self.path}: cannot be written ({error.strerror}); make it writable, then start again"
            ) from error

    def _take(self, content: bytes) -> int:
        """Learn all scores in the lines of a file; returns how many lines are damaged."""
        damaged = 0
        for line in content.splitlines():
            record = _valid_record(line, self._key)
            if record is None:
                damaged += 1
                continue
            gradient = None if record["gradient"] is None else np.asarray(record["gradient"])
            place = record["candidate"], record["with_gradient"]
            self._scores[place] = Score(record["score"], record["reason"], record["seconds"], gradient)
        return damaged


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LcscError(
            f"{path}: cannot be read ({error.strerror}); make it readable, or remove it to score anew"
        ) from error


def _check(record: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(record).encode()).hexdigest()[:16]


def damaged_lines(content: bytes) -> list[int]:
    """The lines of a journal, counted from 1, that are not as they were written; a last one that was cut off, too."""
    lines = content.split(b"\n")
    damaged = [number for number, line in enumerate(lines[:-1], 1) if not _as_written(line)]
    return damaged + [len(lines)] * bool(lines[-1])


def _as_written(line: bytes) -> bool:
    record = _checked_record(line)
    return record is not None and canonical_json({**record, "check": _check(record)}).encode() == line


def _valid_record(line: bytes, key: str) -> dict[str, Any] | None:
    record = _checked_record(line)
    return record if record is not None and record["key"] == key else None


def _checked_record(line: bytes) -> dict[str, Any] | None:
    """The record in a line whose check sum is right."""
    try:
        record = json.loads(line)
        check = record.pop("check")
        valid = check == _check(record) and "key" in record
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return record if valid else None
