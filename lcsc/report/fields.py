"""JSON objects read with checks: an error names the file and the key, found and expected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from lcsc.errors import InputError


class Fields:
    """A JSON object of the file ``path`` at ``where`` within it, whose keys are read by their type.

    Every method raises :class:`InputError` where the key is missing or holds something else.
    """

    def __init__(self, path: Path, value: Any, where: str = "") -> None:
        self.path = path
        self.where = where
        if not isinstance(value, Mapping):
            self.refuse("", value, "an object")
        self._value = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __contains__(self, key: str) -> bool:
        return key in self._value

    def refuse(self, key: str, found: Any, expected: str) -> NoReturn:
        """Raise the error of a wrong value at ``key``."""
        place = f"{self.where}.{key}".strip(".") or "the record"
        shown = repr(found)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise InputError(
            f"{self.path}: {place}: found {shown}, expected {expected}; make the file again with this lcsc"
        )

    def raw(self, key: str) -> Any:
        """The value at ``key`` as it stands."""
        if key not in self._value:
            place = f"{self.where}.{key}".strip(".")
            raise InputError(f"{self.path}: {place}: missing; make the file again with this lcsc")
        return self._value[key]

    def text(self, key: str) -> str:
        """A string."""
        value = self.raw(key)
        if not isinstance(value, str):
            self.refuse(key, value, "a text")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.raw(key)
        if not isinstance(value, bool):
            self.refuse(key, value, "true or false")
        return value

    def whole(self, key: str) -> int:
        """A whole number, zero or more."""
        value = self.raw(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, value, "a whole number >= 0")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._finite(key, self.raw(key))

    def number_or_none(self, key: str) -> float | None:
        """A finite number or null."""
        value = self.raw(key)
        return None if value is None else self._finite(key, value)

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(self._finite(f"{key}[{i}]", value) for i, value in enumerate(self._list(key)))

    def wholes(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers, zero or more."""
        values = self._list(key)
        for index, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                self.refuse(f"{key}[{index}]", value, "a whole number >= 0")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values = self._list(key)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.refuse(f"{key}[{index}]", value, "a text")
        return tuple(values)

    def child(self, key: str) -> Fields:
        """An object."""
        return Fields(self.path, self.raw(key), f"{self.where}.{key}".strip("."))

    def children(self, key: str) -> tuple[Fields, ...]:
        """A list of objects."""
        place = f"{self.where}.{key}".strip(".")
        return tuple(Fields(self.path, value, f"{place}[{index}]") for index, value in enumerate(self._list(key)))

    def matrix(self, key: str, columns: int | None = None) -> tuple[tuple[float, ...], ...]:
        """At least one row of finite numbers, all of one length, which is ``columns`` where that is given."""
        rows = tuple(
            Fields(self.path, {"row": row}, f"{self.where}.{key}[{index}]".strip(".")).numbers("row")
            for index, row in enumerate(self._list(key))
        )
        lengths = sorted({len(row) for row in rows})
        wanted = lengths[:1] if columns is None else [columns]
        if not rows or lengths != wanted or wanted == [0]:
            expected = f"rows of {columns} numbers, one for each checkpoint" if columns else "rows of one length"
            self.refuse(key, f"{len(rows)} rows of lengths {lengths}", expected)
        return rows

    def _list(self, key: str) -> list[Any]:
        value = self.raw(key)
        if not isinstance(value, list):
            self.refuse(key, value, "a list")
        return value

    def _finite(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.refuse(key, value, "a finite number")
        return float(value)
