"""Readers and writers of saved checkpoints, one module for each file format and each family of runs."""

from lcsc.checkpoints.base import Checkpoint, CheckpointFile, Family, Format, RunFolder
from lcsc.checkpoints.discover import find_checkpoints, find_run
from lcsc.checkpoints.registry import FORMATS, format_named, format_of

__all__ = [
    "FORMATS",
    "Checkpoint",
    "CheckpointFile",
    "Family",
    "Format",
    "RunFolder",
    "find_checkpoints",
    "find_run",
    "format_named",
    "format_of",
]
