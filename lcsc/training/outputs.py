"""The files of a training: checkpoints, averages, the state to go on from, and the manifest that lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.files import make_folder, remove, sha256_of, unwritable
from lcsc.layout import ema_name, sortable
from lcsc.training.ema import EMATracker

CHECKPOINTS, EMAS, POWER = "checkpoints", "ema", "ema/power"
STATE, MANIFEST = "state.safetensors", "manifest.json"


def save_checkpoint(network: nn.Module, step: int, output: Path) -> dict[str, Any]:
    """Write the weights of ``network``; the manifest's entry."""
    path = output / CHECKPOINTS / f"step-{step:06d}.safetensors"
    return save(output, path, state_of(network), step=step, track="raw")


def save_emas(network: nn.Module, tracker: EMATracker, step: int, output: Path) -> list[dict[str, Any]]:
    """Write each exponential average; buffers are those of ``step``. Returns the manifest's entries."""
    entries = []
    for rate in tracker.rates:
        state = state_of(network, tracker.averages(rate))
        entries.append(save(output, ema_file(output, rate), state, step=step, track=f"ema_{rate:g}", rate=rate))
    return entries


def save_power_emas(
    network: nn.Module, tracker: EMATracker, widths: Sequence[float], step: int, output: Path
) -> list[dict[str, Any]]:
    """Write a snapshot of each power-function average, of relative width σ_rel; the manifest's entries."""
    entries = []
    for width, exponent in zip(widths, tracker.exponents, strict=True):
        state = state_of(network, tracker.power_averages(exponent))
        path = output / POWER / f"sigma-{sortable(width)}-step-{step:06d}.safetensors"
        entries.append(save(output, path, state, step=step, track=f"power_{width:g}", sigma_rel=width))
    return entries


def ema_file(output: Path, rate: float) -> Path:
    """Where the average at ``rate`` stands."""
    return output / EMAS / ema_name(rate)


def save(output: Path, path: Path, tensors: Mapping[str, torch.Tensor], step: int, **more: Any) -> dict[str, Any]:
    """Write ``tensors`` to ``path`` below ``output`` with their metadata; the manifest's entry."""
    facts = {"step": step, **more}
    SafetensorsFormat().write(path, tensors, {key: str(value) for key, value in facts.items()})
    try:
        digest = sha256_of(path)
    except OSError as error:  # another training that began in this folder has removed it
        raise unwritable(path, error) from error
    return {"file": path.relative_to(output).as_posix(), "sha256": digest, **facts}


def state_of(network: nn.Module, averages: Sequence[torch.Tensor] = ()) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by name; ``averages`` stand in place of the parameters where given.

    Tied parameters share memory here, too, so that they are written as tied.
    """
    parameters = list(network.parameters())
    instead = dict(zip(map(id, parameters), averages or parameters, strict=True))
    return {
        name: instead.get(id(tensor), tensor).detach() for name, tensor in network.state_dict(keep_vars=True).items()
    }


def clear(output: Path) -> None:
    """Remove an earlier training's files, the manifest first: no old checkpoint mixes with new ones."""
    make_folder(output)
    remove(output / MANIFEST)
    remove(output / STATE)
    for pattern in (f"{CHECKPOINTS}/step-*", f"{EMAS}/rate-*", f"{POWER}/sigma-*"):
        for path in output.glob(f"{pattern}.safetensors"):
            remove(path)
