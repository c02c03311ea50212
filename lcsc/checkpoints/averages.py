"""What the average of a network may leave out: it is then read from the network itself, so that must be no weight."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import torch

from lcsc.errors import InputError

# Batch normalisation's statistics are averages already; code bases keep the network's own beside averaged weights.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def check_not_averaged(
    path: Path,
    own: Mapping[str, torch.Tensor],
    averaged: Collection[str],
    other: Callable[[], Mapping[str, torch.Tensor]],
) -> None:
    """Refuse the average in ``path`` where it lacks a tensor of the network (``own``) that the training changes.

    It may lack integers, statistics of batch normalisation, and constants: floating-point tensors that are the same
    in ``other()``, the network of another step under the same names. ``averaged`` names the tensors that it has.
    Raises :class:`InputError`: mixing averaged weights with raw ones makes a network that was never meant.
    """
    lacking = [name for name, tensor in own.items() if name not in averaged and _may_be_trained(name, tensor)]
    reference = other() if lacking else {}
    trained = [name for name in lacking if not _same(own[name], reference.get(name))]
    if trained:
        raise InputError(
            f"{path}: found no average of {len(trained)} floating-point tensors that differ between steps, the first "
            f"{trained[0]!r}; expected one of every weight; set checkpoints.track: raw"
        )


def _may_be_trained(name: str, tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and name.rpartition(".")[2] not in _STATISTICS


def _same(tensor: torch.Tensor, other: torch.Tensor | None) -> bool:
    return other is not None and other.dtype == tensor.dtype and torch.equal(other, tensor)
