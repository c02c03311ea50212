"""Generations on disk: a chain of files, each with its candidates, scores, state and its parent's hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.files import read_json, sha256_of, write_json
from lcsc.protocol import require_bank, require_protocol
from lcsc.search.base import Candidate, Scored, SearchSpace

KIND = "generation"


@dataclass(frozen=True)
class Generation:
    """One generation: its number, what was scored, and the search's state after it."""

    number: int
    protocol: str
    bank: str
    settings: Mapping[str, Any]
    scored: tuple[Scored, ...]
    reasons: tuple[str | None, ...]
    state: Mapping[str, Any]
    parent: str | None


def generation_path(folder: Path, number: int) -> Path:
    """The file of generation ``number``."""
    return folder / f"generation-{number:04d}.json"


def write_generation(
    folder: Path,
    number: int,
    candidates: Sequence[Candidate],
    scores: Sequence[Score],
    *,
    about: Mapping[str, Any],
    state: Mapping[str, Any],
) -> None:
    """Write a generation; ``about`` holds method, search, settings, protocol and bank.

    Only what the settings fix is written: times differ from run to run and stand in the journal.
    """
    rows = [
        {"coefficients": c.coefficients.tolist(), "score": s.value, "reason": s.reason, "origin": c.origin}
        for c, s in zip(candidates, scores, strict=True)
    ]
    parent = sha256_of(generation_path(folder, number - 1)) if number else None
    record = {**about, "generation": number, "parent": parent, "candidates": rows, "state": dict(state)}
    write_json(generation_path(folder, number), {**record, "stopped": False}, kind=KIND, indent=None)


def read_generation(path: Path) -> Generation:
    """Read one generation's file."""
    record = read_json(path, kind=KIND)
    try:
        rows = record["candidates"]
        scored = tuple(
            Scored(Candidate(np.asarray(row["coefficients"], dtype=np.float64), row["origin"]), row["score"])
            for row in rows
        )
        reasons = tuple(row["reason"] for row in rows)
        head = (record["generation"], record["protocol"], record["bank"], record["settings"])
        return Generation(*head, scored, reasons, record["state"], record["parent"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no whole generation ({error}); remove it and run the search again") from error


def read_chain(folder: Path, count: int, *, about: Mapping[str, Any], space: SearchSpace) -> list[Generation]:
    """Generations 0 to ``count`` - 1 of a search, each checked against its parent's hash and ``about``."""
    chain: list[Generation] = []
    for number in range(count):
        path = generation_path(folder, number)
        generation = read_generation(path)
        require_protocol(generation.protocol, str(about["protocol"]), str(path))
        _check_origin(path, generation, about)
        expected = sha256_of(generation_path(folder, number - 1)) if number else None
        if generation.number != number or generation.parent != expected:
            raise InputError(f"{path}: does not follow generation {number - 1}; remove it and run the search again")
        _check_shape(path, generation, space)
        chain.append(generation)
    return chain


def _check_origin(path: Path, generation: Generation, about: Mapping[str, Any]) -> None:
    if generation.settings != about["settings"]:
        raise InputError(f"{path}: made with other settings of the search; remove the folder, or restore them")
    require_bank(generation.bank, str(about["bank"]), path)


def _check_shape(path: Path, generation: Generation, space: SearchSpace) -> None:
    expected = (space.groups, space.K)
    for index, item in enumerate(generation.scored):
        found = item.candidate.coefficients.shape
        if found != expected:
            raise InputError(f"{path}: candidate {index} has shape {found}, expected {expected} (groups, checkpoints)")
