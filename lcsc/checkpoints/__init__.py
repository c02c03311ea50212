"""Readers and writers of saved checkpoints, one module for each file format."""

from lcsc.checkpoints.base import Checkpoint, CheckpointFile, Format
from lcsc.checkpoints.discover import find_checkpoints
from lcsc.checkpoints.registry import FORMATS, format_named, format_of

__all__ = [
    "FORMATS",
    "Checkpoint",
    "CheckpointFile",
    "Format",
    "find_checkpoints",
    "format_named",
    "format_of",
]
