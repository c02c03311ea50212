"""The bank: K checkpoints of one run, flattened and aligned in HDF5; combined and differentiated in one pass.

Names are imported when they are used: :mod:`lcsc.bank.memory` stays light enough for a Snakefile.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcsc.bank.bank import Bank, ResidentBank
    from lcsc.bank.index import StoredCheckpoint, StoredSegment, TensorEntry

_HOMES = {
    "Bank": "bank",
    "ResidentBank": "bank",
    "StoredCheckpoint": "index",
    "StoredSegment": "index",
    "TensorEntry": "index",
}

__all__ = ["Bank", "ResidentBank", "StoredCheckpoint", "StoredSegment", "TensorEntry"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lcsc.bank' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lcsc.bank.{_HOMES[name]}"), name)
