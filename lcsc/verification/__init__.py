"""Whether files are as they were written, byte for byte: what holds a checksum, and what a checksum elsewhere names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lcsc import checksums
from lcsc.errors import InputError
from lcsc.files import sha256_of
from lcsc.refusals import unreadable
from lcsc.verification.journals import check_journal
from lcsc.verification.records import ForeignError, check_record

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
    """What was found: the files that are whole, a line for each that is not, and files of which nothing is known."""

    whole: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    unknown: list[Path] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many files are whole."""
        return len(self.whole)


def verify(paths: Iterable[Path]) -> Outcome:
    """Check ``paths``: files, and folders with all that is in them and below; hidden files are left out.

    Records are checked by their own checksum, generations as a chain, banks and manifests with all that they name,
    merged checkpoints by making them again where the bank is at hand, all else by the checksums beside it.
    Raises :class:`InputError` where a path does not exist.
    """
    outcome = Outcome()
    named: Names = {}
    others: dict[Path, str | None] = {}  # files that hold no checksum, with what is wrong if nothing names them
    for file in sorted({file for path in paths for file in _files(path)}):
        try:
            named |= _CHECKS[file.suffix](file)
            outcome.whole.add(file)
        except (KeyError, ForeignError) as error:
            others[file] = str(error) if isinstance(error, ForeignError) else None
        except InputError as error:
            outcome.problems.append(str(error))
    for file in others:
        if file not in named:
            named |= {path: sha for path, sha in _named_above(file).items() if path == file}
    for file in sorted(named):
        _compare(file, named[file], outcome)
    for file, problem in others.items():
        if file not in named:
            if problem is None:
                outcome.unknown.append(file)
            else:
                outcome.problems.append(problem)
    return outcome


def _files(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: not found; expected a file, a bank, or a folder of results")
    found = (file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _named_above(file: Path) -> Names:
    """What the indices, manifests and checksums beside ``file``, and in the folders above, name."""
    named: Names = {}
    for folder in file.parents[:_ABOVE]:
        holders = [folder / "index.json", folder / "manifest.json", *folder.glob(f"*{checksums.SUFFIX}")]
        for holder in filter(Path.is_file, holders):
            with suppress(InputError):  # of which the file itself is not to blame
                named |= _CHECKS[holder.suffix](holder)
    return named


def _compare(file: Path, expected: str, outcome: Outcome) -> None:
    try:
        found = sha256_of(file)
    except OSError as error:
        outcome.problems.append(str(unreadable(file, error, what="a file whose checksum is known")))
        return
    if found != expected:
        outcome.problems.append(f"{file}: found sha256 {found}, expected {expected}; it was changed, make it again")
    else:
        outcome.whole.add(file)
