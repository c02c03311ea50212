"""Names in the order that people expect: numbers in them by value."""

from __future__ import annotations

import re


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A key to sort by: ``img2`` before ``img10``, folder by folder; names that are alike otherwise by their text."""
    pieces = re.split(r"(\d{1,18}|/)", name)  # Python makes no number of thousands of digits
    # A slash comes first, so that a folder's own files stand together.
    key = tuple((0, 0, "") if p == "/" else (1, int(p), "") if p.isdecimal() else (2, 0, p) for p in pieces if p)
    return key, name
