"""What a figure consists of: the picture, its words and the numbers behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = str | float | int | None


@dataclass(frozen=True)
class Data:
    """A plain table of numbers: column names and rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def csv(self) -> str:
        """The table as CSV, floats in the shortest form that reads back as the same number."""
        return csv_text([self.header, *self.rows])


@dataclass(frozen=True)
class Plot:
    """An interactive plot: ``kind`` names the script in ``web/js/plots`` that draws ``data``, which JSON can hold."""

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Drawing:
    """A figure: ``svg`` holds the picture, ``png`` as pixels; ``caption`` is plain text; ``alt`` is read aloud.

    ``plot`` stands in the picture's place in a page, where scripts run.
    """

    name: str
    title: str
    alt: str
    caption: str
    svg: str = ""
    png: bytes = b""
    data: Data | None = None
    plot: Plot | None = None
    details: Data | None = field(default=None)  # the numbers shown in the page, where they are few enough


def csv_text(rows: Sequence[Sequence[Value]]) -> str:
    """Rows as CSV with Unix line ends; None becomes an empty cell."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
