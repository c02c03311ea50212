"""Runs of the DDIM code base: ``ckpt_5000.pth``, a list of model, optimiser, epoch, step and EMA.

The model's names carry ``module.`` when it was trained in parallel; the EMA's do not, and hold parameters alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.averages import check_not_averaged
from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.names import strip_prefix
from lcsc.checkpoints.torch_files import load_tensors, save_torch, state_of
from lcsc.errors import InputError

_MODEL, _EPOCH, _STEP, _EMA = 0, 2, 3, 4
_SUFFIXES = (".pth", ".pt", ".ckpt")


class DDIM:
    """Tracks "raw" and, where the list has a fifth entry, "ema"."""

    name = "ddim"

    def recognises(self, run: RunFolder) -> bool:
        """Whether the last of the files that can be read holds such a list."""
        for path in reversed(_paths(run)):
            try:
                return isinstance(load_tensors(path), list)
            except InputError:  # a damaged file is named when the run is read
                continue
        return False

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """``ckpt_STEP.pth``, or what the pattern chooses; ``ckpt.pth``, a copy of the last one, is left out.

        The step is the name's or, for other names, that in the file. The last file tells the tracks.
        """
        paths = _paths(run)
        if not paths:
            return []
        tracks = ("raw", "ema")[: 1 + (len(_entries(paths[-1])) > _EMA)]
        return [CheckpointFile(path, step, track) for path in paths for step in [_step(path)] for track in tracks]

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The model's tensors, or the EMA's in their place: under the model's names, with its constants."""
        entries = _entries(file.path)
        if entries[_STEP] != file.step:
            raise InputError(f"{file.path}: found step {entries[_STEP]} in it, expected {file.step} as in its name")
        model = state_of(file.path, entries[_MODEL])
        if file.track == "raw":
            return model
        if len(entries) <= _EMA:
            raise InputError(f"{file.path}: found no EMA, expected a fifth entry as the last file has; leave it out")
        averages = _bare(state_of(file.path, entries[_EMA]).tensors)
        names = dict(zip(model.tensors, strip_prefix(model.tensors)[1], strict=True))
        for name in averages.keys() - names.values():
            raise InputError(f"{file.path}: EMA tensor {name!r}: not found in the model; expected its parameters")
        own = {names[name]: tensor for name, tensor in model.tensors.items()}
        check_not_averaged(file.path, own, averages, lambda: _another_model(file, run))
        return Checkpoint({name: averages.get(names[name], own) for name, own in model.tensors.items()}, model.aliases)

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """Epoch, step, and which of the model's tensors the EMA has not."""
        entries = _entries(file.path)
        found: dict[str, Any] = {"format": self.name, "epoch": int(entries[_EPOCH]), "step": int(entries[_STEP])}
        if len(entries) > _EMA:
            model, averages = _bare(entries[_MODEL]), _bare(entries[_EMA])
            found["ema_prefix"] = strip_prefix(entries[_EMA])[0]
            found["not_in_ema"] = sorted(model.keys() - averages.keys())
        return {**found, "dropped": ["optimiser state"]}


def write(output: Path, tensors: Mapping[str, torch.Tensor], container: Mapping[str, Any]) -> None:
    """A list with ``tensors`` as model and, where the run has one, as EMA, which is what its sampling reads."""
    model = {name: tensor.detach() for name, tensor in tensors.items()}
    entries: list[Any] = [model, {}, container["epoch"], container["step"]]
    if "not_in_ema" in container:
        lacking, prefix = set(container["not_in_ema"]), container["ema_prefix"]
        entries.append({prefix + name: tensor for name, tensor in _bare(model).items() if name not in lacking})
    save_torch(output, entries)


def _paths(run: RunFolder) -> list[Path]:
    paths = files_in(run, _SUFFIXES, "ckpt_*.pth")
    return sorted(paths, key=lambda path: (_number(path) or 0, path)) if run.pattern is None else paths


def _another_model(file: CheckpointFile, run: RunFolder) -> dict[str, torch.Tensor]:
    """The model's tensors at another step than ``file``'s, under bare names; none where there is no other step."""
    path = next((path for path in _paths(run) if _step(path) != file.step), None)
    return {} if path is None else _bare(_entries(path)[_MODEL])


def _number(path: Path) -> int | None:
    found = re.fullmatch(r"ckpt_(\d+)", path.stem)
    return int(found[1]) if found else None


def _step(path: Path) -> int:
    number = _number(path)
    return int(_entries(path)[_STEP]) if number is None else number


def _bare(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return dict(zip(strip_prefix(state)[1], state.values(), strict=True))


def _entries(path: Path) -> list[Any]:
    """Tensors are mapped, so of a file of today's format no more is read than is used."""
    entries = load_tensors(path)
    if not isinstance(entries, list) or not _EMA <= len(entries) <= _EMA + 1:
        found = f"a list of {len(entries)}" if isinstance(entries, list) else type(entries).__name__
        raise InputError(f"{path}: found {found}, expected DDIM's list of model, optimiser, epoch, step and EMA")
    for place, what in ((_EPOCH, "epoch"), (_STEP, "step")):
        if not isinstance(entries[place], int) or entries[place] < 0:
            found = type(entries[place]).__name__
            raise InputError(f"{path}: entry {place} ({what}): found {found}, expected a whole number")
    return entries
