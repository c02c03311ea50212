"""Where an earlier search ended, as coefficients over this bank: of other NFE, other images, or a shorter bank."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.groups import Groups, make_groups


def lineage_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The extractors whose distance a selection's search lowered, and those of the searches it started from."""
    return [record["searched_extractor"], *record["warm_extractors"]]


def warm_rows(path: Path, bank: Bank, groups: Groups) -> NDArray[np.float64]:
    """The choice of the search whose selection.json is ``path``, float64 [G, K] over ``bank`` and ``groups``.

    Coefficients go with the training step of their checkpoint; new checkpoints get 0. A group takes the row that its
    weights had, or the mean of their rows. Raises :class:`InputError` for checkpoints that ``bank`` lacks and for
    another network.
    """
    record = read_json(path, kind="selection")
    if record.get("parameters") != bank.P:
        raise InputError(
            f"{path}: coefficients for {record.get('parameters')} parameters, expected {bank.P} as the bank has; warm "
            "starts are for the same network"
        )
    rows = np.asarray(record["finalists"][record["chosen"]]["coefficients"], dtype=np.float64)
    return _to_groups(_to_steps(rows, record["steps"], bank, path), make_groups(bank.tensors, record["groups"]), groups)


def _to_steps(rows: NDArray[np.float64], steps: list[int], bank: Bank, path: Path) -> NDArray[np.float64]:
    """The coefficients in the columns of ``bank``."""
    columns = {step: column for column, step in enumerate(bank.steps)}
    found = np.zeros((len(rows), bank.K))
    for old, step in enumerate(steps):
        if step in columns:
            found[:, columns[step]] = rows[:, old]
        elif rows[:, old].any():
            raise InputError(
                f"{path}: has coefficients for the checkpoint of step {step}, which the bank {bank.path} lacks; "
                "collect it, too, or start without"
            )
    return found


def _to_groups(rows: NDArray[np.float64], old: Groups, new: Groups) -> NDArray[np.float64]:
    """For each of the new groups the mean of the old ones' rows, weighted by the weights they share."""
    found = np.zeros((new.G, rows.shape[1]))
    counts = np.zeros(new.G)
    for start, stop, row in new.runs:
        for first, last, former in old.runs:
            shared = min(stop, last) - max(start, first)
            if shared > 0:
                found[row] += shared * rows[former]
                counts[row] += shared
    empty = counts == 0  # groups without weights: any row will do
    found[empty], counts[empty] = rows[0], 1
    mean: NDArray[np.float64] = found / counts[:, None]
    return mean
