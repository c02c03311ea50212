"""The bank: K checkpoints of one run, flattened and aligned in HDF5; combined and differentiated in one pass."""

from __future__ import annotations

from lcsc.bank.bank import Bank, ResidentBank
from lcsc.bank.index import StoredCheckpoint, StoredSegment, TensorEntry

__all__ = ["Bank", "ResidentBank", "StoredCheckpoint", "StoredSegment", "TensorEntry"]
