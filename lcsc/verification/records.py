"""Checking JSON records: their own checksums, the files that they name, and what they follow from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lcsc.errors import InputError
from lcsc.files import CHECKSUM, canonical_json, read_json, read_text, sha256_of
from lcsc.refusals import inside

Record = Mapping[str, Any]
# Records that are called by their kind; generations have their number behind it.
_CALLED = ("baselines", "evaluation", "generation", "recipe", "selection", "trace")


class ForeignError(InputError):
    """A JSON file that holds no record of this package."""


def check_record(path: Path) -> dict[Path, str]:
    """Check the record in ``path``; the checksums of other files in it, by path.

    Raises :class:`ForeignError` where it is no record of this package, :class:`InputError` where it is another one than
    its name says, was changed, or does not follow from the generation before it or the bank of its run.
    """
    kind = _kind(path)
    if kind == "bank":
        return _check_index(path)
    record = read_json(path, kind=kind)
    _check_spelling(path)
    _check_bank(path, record)
    check = _FURTHER.get(kind)
    return {} if check is None else check(path, record)


def _kind(path: Path) -> str:
    text = read_text(path, kind="json")
    try:
        name = str(json.loads(text)["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise ForeignError(f"{path}: is no record of lcsc, or was changed; make it again") from error
    if not name.startswith("lcsc-"):
        raise ForeignError(f"{path}: found format {name!r}, expected a record of lcsc; remove it, or make it again")
    kind, called = name.removeprefix("lcsc-"), path.stem.partition("-")[0]
    if path.parent.name == "timings":  # these have the names of their steps
        called = "timing"
    if called in (*_CALLED, "timing") and kind != called:
        raise InputError(f"{path}: holds a record of kind {kind!r}, expected {called!r}; make it again")
    return kind


def _check_spelling(path: Path) -> None:
    """Refuse a file that says the same in other words, such as with other spaces."""
    text = read_text(path, kind="json")
    record = json.loads(text)
    if CHECKSUM in record and all(text != canonical_json(record, indent) + "\n" for indent in (1, None)):
        raise InputError(f"{path}: found other spaces or spellings than lcsc writes; it was changed, make it again")


def _check_bank(path: Path, record: Record) -> None:
    """Refuse a record of another bank than that of its run, where there is one in a folder above."""
    from lcsc.bank.index import INDEX, read_index

    folder = next((parent / "bank" for parent in path.parents[:3] if (parent / "bank" / INDEX).is_file()), None)
    found = record.get("bank")
    if folder is None or not isinstance(found, str):
        return
    try:
        expected = read_index(folder).identity
    except InputError:  # that is said of the index itself
        return
    if found != expected:
        raise InputError(f"{path}: found bank {found[:12]}, expected {expected[:12]} ({folder}); make it again")


def _check_index(path: Path) -> dict[Path, str]:
    from lcsc.bank.index import read_index

    return {path.parent / segment.file: segment.sha256 for segment in read_index(path.parent).segments}


def _check_generation(path: Path, record: Record) -> dict[Path, str]:
    from lcsc.search.generations import generation_path, read_generation

    number = read_generation(path).number
    if generation_path(path.parent, number).name != path.name:
        raise InputError(f"{path}: holds generation {number}; give each its own name, or make it again")
    if number == 0:
        return {}
    before = generation_path(path.parent, number - 1)
    if not before.is_file() or sha256_of(before) != record["parent"]:
        raise InputError(f"{path}: does not follow {before.name}, which was changed or is not there; make it again")
    return {}


def _check_recipe(path: Path, record: Record) -> dict[Path, str]:
    """Make the merged checkpoint beside the recipe again, where its bank is in a folder above."""
    from lcsc.bank import Bank
    from lcsc.bank.index import INDEX
    from lcsc.export import merge_from_recipe, read_recipe

    merged, bank = path.with_name("merged.safetensors"), path.parent.parent / "bank"
    if not merged.is_file() or not (bank / INDEX).is_file():
        return {}
    with tempfile.TemporaryDirectory(prefix="lcsc-") as folder:
        again = Path(folder) / merged.name
        merge_from_recipe(read_recipe(path), Bank.open(bank), again)
        return {merged: sha256_of(again)}


def _check_manifest(path: Path, record: Record) -> dict[Path, str]:
    return {inside(path.parent, entry["file"], str(path)): entry["sha256"] for entry in _entries(record)}


def _entries(value: Any) -> Iterator[Record]:
    """All objects in a manifest that name a file and its checksum."""
    if isinstance(value, Mapping):
        if isinstance(value.get("file"), str) and isinstance(value.get("sha256"), str):
            yield value
        for item in value.values():
            yield from _entries(item)
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item)


_FURTHER: dict[str, Callable[[Path, Record], dict[Path, str]]] = {
    "generation": _check_generation,
    "recipe": _check_recipe,
    "training": _check_manifest,
    "tuning": _check_manifest,
}
