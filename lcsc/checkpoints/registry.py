"""The file formats that are known, and which of them a file has."""

from __future__ import annotations

from pathlib import Path

from lcsc.checkpoints.base import Format
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.checkpoints.torch_files import TorchFormat
from lcsc.errors import InputError

FORMATS: list[Format] = [SafetensorsFormat(), TorchFormat()]


def format_of(path: Path) -> Format:
    """The format of ``path``: by content, and by suffix where the content says nothing (an empty file).

    Raises :class:`InputError` where no format fits.
    """
    for candidate in FORMATS:
        if candidate.recognises(path):
            return candidate
    for candidate in FORMATS:
        if path.suffix in candidate.suffixes:
            return candidate
    expected = " or ".join(known.name for known in FORMATS)
    raise InputError(f"{path}: found content of no known checkpoint format, expected {expected}")


def format_named(name: str) -> Format:
    """The format called ``name``; :class:`InputError` where there is none."""
    for candidate in FORMATS:
        if candidate.name == name:
            return candidate
    expected = " or ".join(known.name for known in FORMATS)
    raise InputError(f"checkpoint format: found {name!r}, expected {expected}")
