"""The state in which a training ended: weights, optimiser and random numbers, to go on as if it had not ended.

The averages stand in the EMA files, as float32 like the tracker's own; the state is a safetensors file of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError
from lcsc.files import canonical_json, read_json, sha256_of
from lcsc.training.ema import EMATracker
from lcsc.training.outputs import MANIFEST, STATE, ema_file, save, state_of

_NETWORK, _OPTIMISER, _GENERATOR = "network/", "optimiser/", "generator"


def save_state(
    network: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator, step: int, path: Path
) -> dict[str, Any]:
    """Write the state after ``step`` to ``path``; the manifest's entry."""
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in state_of(network).items()}
    for place, values in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{place}/{key}": torch.as_tensor(value) for key, value in values.items()}
    tensors[_GENERATOR] = generator.get_state()
    return save(path.parent, path, tensors, step=step, track="state")


def require_same(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What was trained in ``folder``, for the record of what goes on from it: step and hash of its state.

    Raises :class:`InputError` where its settings, schedule or images are not those of ``about``, or a file has
    changed since.
    """
    manifest = read_json(folder / MANIFEST, kind="training")
    for key in ("settings", "schedule", "data"):
        if _comparable(manifest.get(key)) != _comparable(about[key]):
            raise InputError(
                f"{folder / MANIFEST}: {key}: found {_short(manifest.get(key))}, expected {_short(about[key])}; "
                "go on from the training of these settings, or train anew"
            )
    entries = [manifest.get("state"), *manifest["emas"]]
    for entry in entries:
        if entry is None:
            raise InputError(f"{folder / MANIFEST}: state: found nothing, expected a file; train anew")
        path = folder / entry["file"]
        if not path.is_file() or sha256_of(path) != entry["sha256"]:
            raise InputError(f"{path}: found another file than {MANIFEST} names, or none; train anew")
    return {"step": entries[0]["step"], "state": entries[0]["sha256"]}


def _comparable(value: Any) -> str:
    """``value`` without the number of further steps, which the training that goes on need not have known."""
    if isinstance(value, Mapping) and isinstance(value.get("train"), Mapping):
        train = {key: item for key, item in value["train"].items() if key != "continue"}
        value = {**value, "train": train}
    return canonical_json(value)


def _short(value: Any, width: int = 80) -> str:
    text = _comparable(value)
    return text if len(text) <= width else f"{text[:width]}…"


def restore(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    tracker: EMATracker,
    folder: Path,
) -> None:
    """Put everything into the state in which the training in ``folder`` ended."""
    stored = SafetensorsFormat().read(folder / STATE)
    tensors = stored.tensors | {name: stored.tensors[kept] for name, kept in stored.aliases.items()}
    network.load_state_dict(_below(_NETWORK, tensors))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _below(_OPTIMISER, tensors).items():
        place, key = name.split("/", 1)
        moments.setdefault(int(place), {})[key] = tensor
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    generator.set_state(tensors[_GENERATOR])
    for rate in tracker.rates:
        average = SafetensorsFormat().read(ema_file(folder, rate))
        parameters = dict(network.named_parameters())
        held = average.tensors | {name: average.tensors[kept] for name, kept in average.aliases.items()}
        tracker.resume(rate, [held[name] for name in parameters])


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
