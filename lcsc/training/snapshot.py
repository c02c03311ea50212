"""The state of a model at one moment, on the host, under the model's own names."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lcsc.checkpoints.base import Checkpoint, split_tied
from lcsc.checkpoints.names import strip_prefix
from lcsc.errors import InputError

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
_COMPILED = "_orig_mod"
_SHARDED = (
    "found a model that is sharded over processes, expected whole tensors; gather its state dict on all ranks "
    "(torch.distributed.checkpoint.state_dict.get_model_state_dict) and give that in place of the model"
)


def snapshot(model: nn.Module | Mapping[str, torch.Tensor]) -> Checkpoint:
    """Copies on the host of the parameters and persistent buffers of ``model``, or of those in a state dict.

    Names are those of the module itself: what data parallel wrappers, averages and ``torch.compile`` put before them
    is left out. Tied tensors are copied once. Raises :class:`InputError` for what is no tensor, or part of one.
    """
    state = _module_state(model) if isinstance(model, nn.Module) else _without_wrappers(model)
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"model: {name!r}: found {type(tensor).__name__}, expected a tensor; give a state dict")
        if hasattr(tensor, "full_tensor"):
            raise InputError(f"model: tensor {name!r}: {_SHARDED}")
    kept, aliases = split_tied(state)
    return Checkpoint({name: tensor.detach().to("cpu", copy=True) for name, tensor in kept.items()}, aliases)


def _module_state(model: nn.Module) -> dict[str, torch.Tensor]:
    while isinstance(model, _WRAPPERS) or hasattr(model, _COMPILED):
        model = getattr(model, _COMPILED if hasattr(model, _COMPILED) else "module")
    if type(model).__name__ == "FullyShardedDataParallel":
        raise InputError(f"model: {_SHARDED}")
    return {name.replace(f"{_COMPILED}.", ""): tensor for name, tensor in model.state_dict().items()}


def _without_wrappers(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not isinstance(state, Mapping):
        raise InputError(f"model: found {type(state).__name__}, expected a torch.nn.Module or its state dict")
    # "model." is left: it may be the module's own, and the bank knows what to do with it.
    _, names = strip_prefix(state, wrappers=("module.", f"{_COMPILED}."))
    return dict(zip(names, state.values(), strict=True))


def not_finite(checkpoint: Checkpoint) -> str | None:
    """The first tensor that has a NaN or an infinity; None where all values are finite."""
    for name, tensor in checkpoint.tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            low, high = (float(value) for value in torch.aminmax(tensor))
            if not (math.isfinite(low) and math.isfinite(high)):
                return name
    return None
