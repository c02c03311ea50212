"""Records that a test changes: written as those of the first version, which have no checksum of what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.files import CHECKSUM


def rewrite(path: Path, record: Mapping[str, Any]) -> None:
    """Put ``record``, which was read from ``path`` and changed, in its place."""
    changed = {key: value for key, value in record.items() if key != CHECKSUM}
    path.write_text(json.dumps({**changed, "format_version": 1}), encoding="utf-8")
