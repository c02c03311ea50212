"""Records that say what weights are: coefficients over the bank, or a file; and the weights they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.checkpoints import format_of
from lcsc.combination import combine
from lcsc.errors import InputError
from lcsc.files import sha256_of
from lcsc.groups import make_groups
from lcsc.search.base import Coefficients


def of_coefficients(coefficients: Coefficients, groups: str | list[str] = "all") -> dict[str, Any]:
    """The record of coefficients [G, K]; ``groups`` is the kind of parameter groups that their rows belong to."""
    return {"kind": "coefficients", "coefficients": coefficients.tolist(), "groups": groups}


def of_file(path: Path) -> dict[str, Any]:
    """The record of a checkpoint file."""
    return {"kind": "file", "path": str(path), "sha256": sha256_of(path)}


def load(record: Mapping[str, Any], bank: Bank) -> NDArray[np.float32]:
    """The flat weights [P] that ``record`` stands for, aligned with ``bank``."""
    if record["kind"] == "coefficients":
        coefficients = np.asarray(record["coefficients"], dtype=np.float64)
        groups = make_groups(bank.tensors, record["groups"])
        merged: NDArray[np.float32] = combine(bank, coefficients[None], groups)[0]
        return merged
    path = Path(record["path"])
    if not path.is_file():
        raise InputError(f"{path}: not found, expected the weights of a baseline; run the training again")
    found = sha256_of(path)
    if found != record["sha256"]:
        raise InputError(
            f"{path}: sha256 {found[:12]}, expected {record['sha256'][:12]}; the file has changed since the baselines "
            "were scored: run them again"
        )
    return bank.flatten(format_of(path).read(path).tensors, source=str(path))
