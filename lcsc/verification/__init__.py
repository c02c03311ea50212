"""Whether files are as they were written, byte for byte: what holds a checksum, and what a checksum elsewhere names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lcsc import checksums
from lcsc.errors import InputError
from lcsc.files import sha256_of, unreadable
from lcsc.verification.journals import check_journal
from lcsc.verification.records import check_record

# What a file holds beyond itself: checksums of others, by path.
Names = dict[Path, str]
_CHECKS: dict[str, Callable[[Path], Names]] = {
    ".json": check_record,
    ".jsonl": check_journal,
    checksums.SUFFIX: checksums.read_sums,
}
# In how many folders above a file its checksum is looked for.
_ABOVE = 3


@dataclass
class Outcome:
    """What was found: how many files are whole, a line for each that is not, and files of which nothing is known."""

    checked: int = 0
    problems: list[str] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)


def verify(paths: Iterable[Path]) -> Outcome:
    """Check ``paths``: files, and folders with all that is in them and below; hidden files are left out.

    Records are checked by their own checksum, generations as a chain, banks and manifests with all that they name,
    merged checkpoints by making them again where the bank is at hand, all else by the checksums beside it.
    Raises :class:`InputError` where a path does not exist.
    """
    outcome = Outcome()
    files = sorted({file for path in paths for file in _files(path)})
    named: Names = {}
    for file in files:
        named |= _check(file, outcome)
    known = set(named) | {file for file in files if file.suffix in _CHECKS}
    for file in files:
        if file not in known:
            named |= {path: sha for path, sha in _named_above(file).items() if path == file}
    for file in sorted(named):
        _compare(file, named[file], outcome)
    outcome.unknown += [file for file in files if file not in named and file.suffix not in _CHECKS]
    return outcome


def _files(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: not found; expected a file, a bank, or a folder of results")
    found = (file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _check(file: Path, outcome: Outcome) -> Names:
    """Check a file that holds checksums; those of other files in it, none where it is no such file or damaged."""
    check = _CHECKS.get(file.suffix)
    if check is None:
        return {}
    try:
        named = check(file)
    except InputError as error:
        outcome.problems.append(str(error))
        return {}
    outcome.checked += 1
    return named


def _named_above(file: Path) -> Names:
    """What the indices, manifests and checksums beside ``file``, and in the folders above, name."""
    named: Names = {}
    for folder in file.parents[:_ABOVE]:
        holders = [folder / "index.json", folder / "manifest.json", *folder.glob(f"*{checksums.SUFFIX}")]
        for holder in filter(Path.is_file, holders):
            named |= _check(holder, Outcome())
    return named


def _compare(file: Path, expected: str, outcome: Outcome) -> None:
    try:
        found = sha256_of(file)
    except OSError as error:
        outcome.problems.append(str(unreadable(file, error, what="a file whose checksum is known")))
        return
    if found != expected:
        outcome.problems.append(f"{file}: found sha256 {found}, expected {expected}; it was changed, make it again")
    elif file.suffix not in _CHECKS:
        outcome.checked += 1
