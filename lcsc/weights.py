"""Records that say what weights are, coefficients over the bank, a file or a mixture of files; and those weights."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.checkpoints import format_of
from lcsc.errors import InputError
from lcsc.files import sha256_of
from lcsc.groups import make_groups
from lcsc.search.base import Coefficients

KEPT_BYTES = 1 << 29


def of_coefficients(coefficients: Coefficients, groups: str | list[str] = "all") -> dict[str, Any]:
    """The record of coefficients [G, K]; ``groups`` is the kind of parameter groups that their rows belong to."""
    return {"kind": "coefficients", "coefficients": coefficients.tolist(), "groups": groups}


def of_file(path: Path) -> dict[str, Any]:
    """The record of a checkpoint file."""
    return {"kind": "file", **file_named(path)}


def file_named(path: Path) -> dict[str, str]:
    """A file by its path and its content's hash, as records name it."""
    return {"path": str(path), "sha256": sha256_of(path)}


def of_mixture(files: Sequence[Mapping[str, str]], coefficients: NDArray[np.float64]) -> dict[str, Any]:
    """The record of the sum of ``files``, as :func:`file_named` names them, by ``coefficients`` [n]; zeros go."""
    terms = [(file, value) for file, value in zip(files, coefficients.tolist(), strict=True) if value != 0]
    return {
        "kind": "mixture",
        "files": [dict(file) for file, _ in terms],
        "coefficients": [value for _, value in terms],
    }


def load(record: Mapping[str, Any], bank: Bank) -> NDArray[np.float32]:
    """The flat weights [P] that ``record`` stands for, aligned with ``bank``."""
    if record["kind"] == "coefficients":
        coefficients = np.asarray(record["coefficients"], dtype=np.float64)
        groups = make_groups(bank.tensors, record["groups"])
        merged: NDArray[np.float32] = combine(bank, coefficients[None], groups)[0]
        return merged
    if record["kind"] == "mixture":
        return _mixed(record, bank)
    return _read(record, bank)


def _mixed(record: Mapping[str, Any], bank: Bank) -> NDArray[np.float32]:
    """The files' sum in float64, in their order, rounded to float32 at the end."""
    total = np.zeros(bank.P)
    for file, coefficient in zip(record["files"], record["coefficients"], strict=True):
        total += coefficient * _KEPT.get(file, bank).astype(np.float64)
    return total.astype(np.float32)


def _read(file: Mapping[str, str], bank: Bank) -> NDArray[np.float32]:
    path = Path(file["path"])
    if not path.is_file():
        raise InputError(f"{path}: not found, expected the weights of a baseline; run the training again")
    found = sha256_of(path)
    if found != file["sha256"]:
        raise InputError(
            f"{path}: sha256 {found[:12]}, expected {file['sha256'][:12]}; the file has changed since the baselines "
            "were scored: run them again"
        )
    return bank.flatten(format_of(path).read(path).tensors, source=str(path))


class _Kept:
    """Flat weights of the files of mixtures, which are the same ones in every mixture, up to ``limit`` bytes.

    What comes first stays: mixtures read their files in one order, so dropping the oldest would drop every file just
    before it is asked for again. Weights aligned with another bank make room. Threads may share it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bank, self._bytes = "", 0
        self._weights: dict[tuple[str, str], NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    def get(self, file: Mapping[str, str], bank: Bank) -> NDArray[np.float32]:
        key = file["path"], file["sha256"]
        with self._lock:
            if self._bank != bank.identity:
                self._bank, self._bytes, self._weights = bank.identity, 0, {}
            found = self._weights.get(key)
        if found is None:
            found = _read(file, bank)
            with self._lock:
                if self._bank == bank.identity and self._bytes + found.nbytes <= self.limit:
                    self._weights.setdefault(key, found)
                    self._bytes = sum(kept.nbytes for kept in self._weights.values())
        return found


_KEPT = _Kept(KEPT_BYTES)
