"""Pickles that hold arrays and plain values, read without running anything that stands in them.

A pickle names functions to call. Here every name but those of an array and its type is refused, and those stand for
records of our own, from which the array is made afterwards: not even NumPy's own code sees the file.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

# Numbers and truth values: what an array of a data set has.
KINDS = "biuf"


@dataclass
class _DType:
    """The arguments of ``numpy.dtype`` and its state, of which only the order of bytes counts."""

    name: str
    order: str = "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])

    def made(self) -> np.dtype[Any]:
        found = np.dtype(self.order + self.name if self.order in ("<", ">") else self.name)
        if found.kind not in KINDS:
            raise pickle.UnpicklingError(f"an array of type {self.name!r}, expected numbers")
        return found


class _Array:
    """An array's state: version, shape, type, whether in Fortran's order, bytes."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _DType) or not isinstance(content, (bytes, bytearray)):
            raise pickle.UnpicklingError("an array without bytes")
        flat = np.frombuffer(content, dtype.made())
        self.array = flat.reshape(tuple(map(int, shape)), order="F" if fortran else "C")


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _dtype(name: Any, *_: Any) -> _DType:
    return _DType(_text(name))


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """``_codecs.encode``, by which Python 3 writes bytes in old protocols."""
    if _text(encoding).replace("-", "") != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


class _ArrayType:
    """Stands for ``numpy.ndarray`` as an argument; never made."""


NAMES: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it would run {module}.{name}, which an array does not need")
        return NAMES[module, name]


def read_arrays(stream: IO[bytes]) -> Any:
    """The value in ``stream``: dicts, lists, numbers, text and arrays of numbers; text of Python 2 becomes bytes.

    Raises :class:`ValueError` where the pickle is damaged, or holds anything else.
    """
    try:
        return _plain(_Unpickler(stream, encoding="bytes").load())
    except (pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    except (TypeError, UnicodeError, MemoryError, OverflowError, RecursionError) as error:
        raise ValueError(f"no pickle of arrays: {error}") from error


def _plain(value: Any) -> Any:
    """``value`` with arrays in place of their states."""
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value
