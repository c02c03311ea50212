"""Records that a test changes: written again as a whole record, with the checksum of what it says now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.files import write_json


def rewrite(path: Path, record: Mapping[str, Any]) -> None:
    """Put ``record``, which was read from ``path`` and changed, in its place."""
    write_json(path, record, kind=str(record["format"]).removeprefix("lcsc-"))
