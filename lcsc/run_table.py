"""From checked checkpoints to the table of tensors of a bank, and to the flat vectors that it describes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank.index import TensorEntry, table_of
from lcsc.checkpoints.validate import RunCheck


def table_of_run(check: RunCheck) -> tuple[TensorEntry, ...]:
    """The table of the tensors of a run, as far as the checkpoints that ``check`` has seen tell."""
    return table_of([(s.name, s.shape, s.dtype, check.role(s.name), s.aliases) for s in check.specs])


def flat_vector(tensors: Mapping[str, torch.Tensor], table: tuple[TensorEntry, ...]) -> NDArray[np.float32]:
    """The combined tensors of ``table``, float32 [P]."""
    combined = [entry for entry in table if entry.role == "combined"]
    vector = np.empty(sum(entry.count for entry in combined), np.float32)
    for entry in combined:
        values = tensors[entry.name].to(torch.float32).contiguous().reshape(-1)
        vector[entry.offset : entry.offset + entry.count] = values.numpy()
    return vector
