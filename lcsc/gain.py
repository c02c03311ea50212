"""How much of what a search gained is there where it did not look.

The gain of a method in a column is log(distance of the best EMA) - log(distance of the method), both on report noise.
``searched`` is the gain by the extractor and the images that the search itself used (training images), whether or not
the result table has a column for that extractor, ``held_out`` the
least gain on held-out images by an extractor that no search used; ``kept`` is their ratio: 1 where the search improved
images, near 0 where it improved a number. Both sides are on fresh noise, so what a search gained on its own noise alone
is in neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcsc.columns import Column

BASE = "ema"
OPTIMISED = ("search", "tuned", "tuned-search", "tuned-span")  # families that lowered the searched distance


def with_gains(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """``rows`` (measured methods), each with its ``gain``, None for those that lowered no distance."""
    base = next((row for row in rows if row["name"] == BASE), None)
    return [
        {**row, "gain": gain(row, base, columns) if base is not None and row["family"] in OPTIMISED else None}
        for row in rows
    ]


def gain(row: Mapping[str, Any], base: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any] | None:
    """The gain of ``row`` over ``base``; ``kept`` is None where noise explains the searched gain."""
    own = row.get("searched_extractor")
    seen = next((column for column in columns if column.part == "train" and _is_searched(column, own)), None)
    held_out = [column for column in columns if column.part == "held-out"]
    unseen = [column for column in held_out if not column.searched] or held_out
    if seen is None or not unseen:
        return None
    gains = {column.key: _gain(row, base, column) for column in [seen, *unseen]}
    if not all(math.isfinite(found) for found, _ in gains.values()):
        return None  # a distance of exactly 0
    column = min(unseen, key=lambda column: gains[column.key][0])
    (searched, spread), (left, _) = gains[seen.key], gains[column.key]
    kept = left / searched if searched > max(2 * spread, 0.0) else None
    return {"searched": searched, "spread": spread, "held_out": left, "column": column.key, "kept": kept}


def _is_searched(column: Column, extractor: Mapping[str, str] | None) -> bool:
    return column.searched if extractor is None else column.extractor.identity == extractor["sha256"]


def _gain(row: Mapping[str, Any], base: Mapping[str, Any], column: Column) -> tuple[float, float]:
    """The gain of the means, and its standard deviation over blocks, in which both have the same noise."""
    ours, theirs = row["columns"][column.key], base["columns"][column.key]
    if min(*ours["values"], *theirs["values"]) <= 0:
        return math.nan, math.nan
    blocks = np.log(theirs["values"]) - np.log(ours["values"])
    spread = float(np.std(blocks, ddof=1)) if len(blocks) > 1 else 0.0
    return math.log(theirs["mean"]) - math.log(ours["mean"]), spread
