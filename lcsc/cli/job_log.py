"""What a job's log says first: who it is, and what it reads, each file with the beginning of its sha256."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from lcsc.files import sha256_of
from lcsc.progress import logger

# Options that name what a step writes; all others that name paths name what it reads.
_WRITTEN = frozenset({"output", "log", "timing", "figures", "native"})
_WRITTEN_BY = {"evaluate": frozenset({"samples"}), "export": frozenset({"recipe"})}
# Options that name a folder of which a step reads some files: it says itself which.
_READ_IN_PART = {"shard": frozenset({"search"}), "figures": frozenset({"results", "benchmarks"})}
# What a folder's content is known by, where it has such a file.
_MANIFESTS = ("index.json", "manifest.json")
# Of one option; to read more again would cost the job seconds, and says less than the bytes and their time do.
HASHED_BYTES = 1 << 30
DIGITS = 12


def write_opening(options: argparse.Namespace) -> None:
    """Write version, machine, process and the files that ``options`` name to the log, where there is one."""
    from lcsc import __version__

    if options.log is None:
        return
    where = f"{platform.node()} · Python {platform.python_version()} · process {os.getpid()}"
    logger.debug("lcsc %s %s · %s", __version__, options.command, where)
    for name, paths in read_by(options):
        log_read(options, f"--{name.replace('_', '-')}", paths)


def log_read(options: argparse.Namespace, what: str, paths: Iterable[Path]) -> None:
    """Write to the log, where there is one, that the step reads ``paths``, if any."""
    if options.log is not None and (found := list(paths)):
        logger.debug("reads %s: %s", what, described(found))


def read_by(options: argparse.Namespace) -> Iterator[tuple[str, list[Path]]]:
    """The options that name what the step reads, with their paths."""
    others = (known.get(options.command, frozenset()) for known in (_WRITTEN_BY, _READ_IN_PART))
    left_out = _WRITTEN.union(*others)
    for name, value in sorted(vars(options).items()):
        values = value if isinstance(value, list) else [value]
        paths = [item for item in values if isinstance(item, Path)]
        if paths and name not in left_out:
            yield name, paths


def described(paths: list[Path]) -> str:
    """One path, or several by their number and the ends, with the short hash of all their content."""
    files = [file for path in paths for file in _files_of(path)]
    ends = [str(paths[0]), *([str(paths[-1])] if len(paths) > 1 else [])]
    named = ends[0] if len(paths) == 1 else f"{len(paths)} files, {' … '.join(ends)}"
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        return f"{named}: not there: {missing[0]}"
    return f"{named}: {_content(files)}"


def _files_of(path: Path) -> list[Path]:
    """The file; of a folder that which says what it holds, else all files in it."""
    if not path.is_dir():
        return [path] if path.exists() else []
    known = [path / name for name in _MANIFESTS if (path / name).is_file()]
    return known[:1] or sorted(file for file in path.rglob("*") if file.is_file())


def _content(files: list[Path]) -> str:
    size = sum(file.stat().st_size for file in files)
    if size > HASHED_BYTES:
        return f"{size:,} bytes in {len(files)} file(s), too many to hash"
    hashes = [sha256_of(file) for file in files]
    found = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return f"sha256 {found[:DIGITS]}, {size:,} bytes" + (f" in {len(files)} files" if len(files) != 1 else "")
