"""Checking journals: every line has a checksum of its own."""

from __future__ import annotations

from pathlib import Path

from lcsc.errors import InputError
from lcsc.refusals import read_or_refuse
from lcsc.search.journal import damaged_lines


def check_journal(path: Path) -> dict[Path, str]:
    """Refuse a journal with damaged lines; it names no other file."""
    content = read_or_refuse(path, path.read_bytes, what="a journal of scores")
    if damaged := damaged_lines(content):
        lines = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
        raise InputError(
            f"{path}: {len(damaged)} damaged line(s) ({lines}), left by a kill or changed since; a search that goes on "
            "makes their scores again, or remove them"
        )
    return {}
