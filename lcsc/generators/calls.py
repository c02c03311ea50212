"""What of a network's output is the image: code bases return tensors, tuples, or objects that hold one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lcsc.errors import InputError


def image_of(output: Any) -> torch.Tensor:
    """The tensor of a network's ``output``: itself, its ``sample`` (diffusers), or the first of a tuple or list.

    Raises :class:`InputError` where there is none.
    """
    found = getattr(output, "sample", output)
    if isinstance(found, Sequence) and found:
        found = found[0]
    if not isinstance(found, torch.Tensor):
        raise InputError(
            f"network: its output is {type(output).__name__}, expected a tensor, an object with a tensor 'sample', or "
            "a tuple that begins with a tensor; wrap the network in a factory of your own"
        )
    return found
