"""Runs of Lightning: ``.ckpt`` files whose dictionary holds the whole module's state under ``state_dict``."""

from __future__ import annotations

import logging
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.averages import check_not_averaged
from lcsc.checkpoints.base import Checkpoint, CheckpointFile, RunFolder, files_in
from lcsc.checkpoints.templates import template_of
from lcsc.checkpoints.torch_files import load_tensors, save_torch, state_of
from lcsc.errors import InputError

logger = logging.getLogger("lcsc")

_MARK, _STATE = b"pytorch-lightning_version", "state_dict"
# Names that modules give to the network that they train, and what averages of it are then called.
_NETWORKS = ("model.", "net.", "network.", "unet.", "denoiser.")
_DROPPED = ("optimizer_states", "lr_schedulers")
_MOST_PICKLE = 1 << 26


class Lightning:
    """Tracks "raw" and, where the module holds an average of its network (``model_ema.``, ``ema_model.``), "ema".

    ``state_key`` names the network within the module (``state_dict.model`` or ``model``) where it is none of the
    usual ones.
    """

    name = "lightning"

    def recognises(self, run: RunFolder) -> bool:
        """Whether one of the files says which version of Lightning wrote it; nothing is unpickled for that."""
        return any(_marked(path) for path in reversed(files_in(run, [".ckpt"])))

    def find(self, run: RunFolder) -> list[CheckpointFile]:
        """All files, by the ``global_step`` in them; a ``last.ckpt`` that repeats another one's step is left out."""
        steps = {path: _step(path) for path in files_in(run, [".ckpt"])}
        if not steps:
            return []
        many = Counter(steps.values())
        repeated = [path for path, step in steps.items() if many[step] > 1 and re.fullmatch(r"last(-v\d+)?", path.stem)]
        for path in repeated:
            logger.info("%s: left out, since another file has its step %d, too", path, steps.pop(path))
        last = max(steps, key=lambda path: steps[path])
        state = _state(last)
        prefix = _prefix(last, state, run)
        logger.info("%s: the network is %s of the module", run.path, repr(prefix) if prefix else "the whole")
        tracks = ("raw", "ema")[: 1 + bool(_averages(state, prefix))]
        return [CheckpointFile(path, step, track) for path, step in steps.items() for track in tracks]

    def read(self, file: CheckpointFile, run: RunFolder) -> Checkpoint:
        """The network's tensors, or their averages, under names without the network's own."""
        state = _state(file.path)
        prefix = _prefix(file.path, state, run)
        twins = _averages(state, prefix) if file.track == "ema" else {}
        if file.track == "ema" and not twins:
            raise InputError(f"{file.path}: found no average of {prefix!r}, expected one as the last file has")
        averages = _all_averages(state, prefix)
        own = [name for name in state if name.startswith(prefix) and name not in averages]
        if twins:
            check_not_averaged(file.path, {name: state[name] for name in own}, twins, lambda: _another_state(file, run))
        return state_of(file.path, {name.removeprefix(prefix): state[twins.get(name, name)] for name in own})

    def container(self, file: CheckpointFile, checkpoint: Checkpoint, run: RunFolder) -> dict[str, Any]:
        """The network's name in the module, and the file that lends the rest of the dictionary."""
        content = load_tensors(file.path)
        return {
            "format": self.name,
            "network": _prefix(file.path, content[_STATE], run),
            "template": template_of(file.path, run),
            "dropped": [key for key in _DROPPED if content.get(key)],
        }


def write(output: Path, tensors: Mapping[str, torch.Tensor], container: Mapping[str, Any], template: Path) -> None:
    """The dictionary of ``template`` without optimisers, with ``tensors`` as the network and as its average."""
    content = dict(load_tensors(template))
    state, prefix = dict(content[_STATE]), container["network"]
    twins = _averages(state, prefix)
    for name, tensor in tensors.items():
        full = prefix + name
        for place in {full, twins.get(full, full)}:
            state[place] = tensor.detach().to(state[place].dtype)
    content[_STATE] = state
    save_torch(output, {key: value for key, value in content.items() if key not in _DROPPED})


def _marked(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            return any(member.file_size < _MOST_PICKLE and _MARK in archive.read(member) for member in members)
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _content(path: Path) -> dict[str, Any]:
    try:
        content = load_tensors(path)
    except InputError as error:
        if "would be executed" not in str(error):
            raise
        found = re.search(r"\((['\"].*?['\"])\)", str(error))
        raise InputError(
            f"{path}: found objects of a class ({found[1] if found else 'unknown'}) beside the tensors, probably among "
            "the hyperparameters, which reading would execute: refused; save plain values with save_hyperparameters, "
            "or write torch.save({'state_dict': ..., 'global_step': ...}) anew from each file"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get(_STATE), dict):
        raise InputError(f"{path}: found no 'state_dict', expected a checkpoint of Lightning")
    return content


def _state(path: Path) -> dict[str, torch.Tensor]:
    return dict(_content(path)[_STATE])


def _another_state(file: CheckpointFile, run: RunFolder) -> dict[str, torch.Tensor]:
    """The module's state at another step than ``file``'s; empty where there is no other step."""
    path = next((path for path in files_in(run, [".ckpt"]) if _step(path) != file.step), None)
    return {} if path is None else _state(path)


def _step(path: Path) -> int:
    step = _content(path).get("global_step")
    if not isinstance(step, int) or step < 0:
        raise InputError(f"{path}: global_step: found {step!r}, expected a whole number of training steps")
    return step


def _prefix(path: Path, state: Mapping[str, torch.Tensor], run: RunFolder) -> str:
    """The name of the network in the module; empty where it has no usual one.

    Among several usual ones the one that has an average is the network; :class:`InputError` where that does not
    decide it.
    """
    if run.state_key not in (None, _STATE):
        prefix = str(run.state_key).removeprefix(f"{_STATE}.").rstrip(".") + "."
        if not any(name.startswith(prefix) for name in state):
            tops = ", ".join(sorted({name.split(".")[0] for name in state})[:8])
            raise InputError(f"{path}: state_key {run.state_key!r}: found {tops}, expected a part of the module")
        return prefix
    named = [prefix for prefix in _NETWORKS if any(name.startswith(prefix) for name in state)]
    averaged = [prefix for prefix in named if _averages(state, prefix)]
    choices = averaged or named
    if len(choices) > 1:
        listed = ", ".join(prefix.rstrip(".") for prefix in choices)
        raise InputError(f"{path}: found the parts {listed}, expected one network; name it with checkpoints.state_key")
    return choices[0] if choices else ""


def _twins(prefix: str) -> tuple[str, ...]:
    base = prefix.rstrip(".")
    return (f"{base}_ema.", f"ema_{base}.", "ema.", f"ema.{base}.", f"{base}_ema.module.", f"ema_{base}.module.")


def _averages(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, str]:
    """For each of the network's names that of its average; some code bases leave out the dots (latent diffusion)."""
    if not prefix:
        return {}
    found: dict[str, str] = {}
    for name in state:
        bare = name.removeprefix(prefix) if name.startswith(prefix) else None
        if bare is not None:
            places = (twin + end for twin in _twins(prefix) for end in (bare, bare.replace(".", "")))
            place = next((place for place in places if place in state), None)
            found |= {name: place} if place else {}
    return found


def _all_averages(state: Mapping[str, torch.Tensor], prefix: str) -> set[str]:
    return set(_averages(state, prefix).values())
