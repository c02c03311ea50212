"""Generations on disk: a chain of files, each with its candidates, scores, state and its parent's hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.files import read_json, remove, sha256_of, write_json
from lcsc.protocol import require_bank, require_protocol
from lcsc.search.base import Candidate, Scored, SearchSpace
from lcsc.search.patience import Look

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
    reason: str | None = None
    """Why the search has stopped, where nothing was scored."""
    look: Look | None = None
    """What patience saw after it."""
    extractor: Mapping[str, str] | None = None
    """Name, words and sha256 of the extractor whose distance the search lowers, where the file says so."""

    @property
    def about(self) -> dict[str, Any]:
        """What all generations of one search have in common."""
        return {"protocol": self.protocol, "bank": self.bank, "settings": self.settings}

    @property
    def groups(self) -> Any:
        """The kind of parameter groups of its coefficients."""
        return self.settings.get("groups", "all")


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
    reason: str | None = None,
    look: Look | None = None,
) -> None:
    """Write a generation; ``about`` holds method, search, settings, extractor, protocol and bank.

    A generation without candidates says that the search has stopped, and for what ``reason``.

    Only what the settings fix is written: times differ from run to run and stand in the journal.
    """
    rows = [_row(candidate, score) for candidate, score in zip(candidates, scores, strict=True)]
    parent = sha256_of(generation_path(folder, number - 1)) if number else None
    record = {**about, "generation": number, "parent": parent, "candidates": rows, "state": dict(state)}
    record |= {"stopped": not rows, "reason": reason, **({} if look is None else {"look": look.record()})}
    write_json(generation_path(folder, number), record, kind=KIND, indent=None)


def _row(candidate: Candidate, score: Score) -> dict[str, Any]:
    row = {"coefficients": candidate.coefficients.tolist(), "origin": candidate.origin}
    row |= {"score": score.value, "reason": score.reason}
    row |= {} if score.raced is None else {"raced": score.raced}
    row |= {"noise": candidate.iteration} if candidate.iteration else {}
    return row if score.gradient is None else {**row, "gradient": score.gradient.tolist()}


def read_generation(path: Path) -> Generation:
    """Read one generation's file."""
    record = read_json(path, kind=KIND)
    try:
        rows = record["candidates"]
        scored = tuple(
            Scored(
                Candidate(np.asarray(row["coefficients"], dtype=np.float64), row["origin"], row.get("noise", 0)),
                row["score"],
                np.asarray(row["gradient"], dtype=np.float64) if "gradient" in row else None,
                row.get("raced"),
            )
            for row in rows
        )
        reasons = tuple(row["reason"] for row in rows)
        head = (record["generation"], record["protocol"], record["bank"], record["settings"])
        ends = (record["parent"], record.get("reason"))
        look = None if record.get("look") is None else Look(**record["look"])
        return Generation(*head, scored, reasons, record["state"], *ends, look, record.get("extractor"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no whole generation ({error}); remove it and run the search again") from error


def chain_paths(folder: Path, count: int) -> list[Path]:
    """The files of generations 0 to ``count`` - 1."""
    return [generation_path(folder, number) for number in range(count)]


def read_chain(paths: Sequence[Path], about: Mapping[str, Any] | None = None) -> list[Generation]:
    """All generations of a search from its first on, each checked against its parent's hash and ``about``.

    Without ``about``, settings, protocol and bank must be those of the first generation.
    """
    chain: list[Generation] = []
    parent = None
    for number, path in enumerate(paths):
        generation = read_generation(path)
        about = about or generation.about
        _check_origin(path, generation, about)
        if generation.number != number or generation.parent != parent:
            raise InputError(f"{path}: does not follow generation {number - 1}; remove it and run the search again")
        chain.append(generation)
        parent = sha256_of(path)
    return chain


def remove_foreign(folder: Path, first: int, about: Mapping[str, Any]) -> list[Path]:
    """Remove generations from ``first`` on that another search left in ``folder``; returns what was removed.

    They would stand behind the new ones as if they followed them.
    """
    removed = []
    for path in sorted(folder.glob("generation-*.json")):
        number = path.stem.rpartition("-")[2]
        if not number.isdigit() or int(number) < first:
            continue
        try:
            _check_origin(path, read_generation(path), about)
        except InputError:
            remove(path)
            removed.append(path)
    return removed


def _check_origin(path: Path, generation: Generation, about: Mapping[str, Any]) -> None:
    if generation.settings != about["settings"]:
        raise InputError(f"{path}: made with other settings of the search; remove the folder, or restore them")
    require_bank(generation.bank, str(about["bank"]), path)
    require_protocol(generation.protocol, str(about["protocol"]), str(path))


def check_shapes(path: Path, generation: Generation, space: SearchSpace) -> None:
    """Refuse coefficients that do not fit the bank."""
    expected = (space.groups, space.K)
    for index, item in enumerate(generation.scored):
        found = item.candidate.coefficients.shape
        if found != expected:
            raise InputError(f"{path}: candidate {index} has shape {found}, expected {expected} (groups, checkpoints)")
