"""A process of its own that reads and writes pickled modules.

``read PATH KEY TENSORS [FOLDER ...]`` writes the tensors of the module under ``KEY`` into the safetensors file
``TENSORS``: with stand-ins for its classes or, where these find none and there are folders, which are put on the path
of imports, with the code base's own classes, which execute what the pickle says.

``write PATH KEY TENSORS OUTPUT`` copies ``PATH`` to ``OUTPUT`` with ``TENSORS`` as that module's, by stand-ins alone.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.inert_files import read_inert
from lcsc.checkpoints.inert_pickle import module_state
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError


def read(path: Path, key: str, tensors: Path, *folders: str) -> None:
    """Write the tensors of the module under ``key``; nothing where there are none."""
    try:
        state = module_state(_at(read_inert(path).content, key))
    except Exception:
        if not folders:
            raise
        state = {}
    if not state and folders:
        state = _real(path, key, folders)
    if state:
        kept = {name: tensor.detach().contiguous() for name, tensor in state.items()}
        SafetensorsFormat().write(tensors, kept, {})


def write(path: Path, key: str, tensors: Path, output: str) -> None:
    """Copy ``path`` with other ``tensors`` in the module under ``key``, and read the copy again to see that it has."""
    found = SafetensorsFormat().read(tensors)
    state = {**found.tensors, **{name: found.tensors[kept] for name, kept in found.aliases.items()}}
    file = read_inert(path)
    places = module_state(_at(file.content, key))
    if places.keys() != state.keys():
        raise InputError(f"found {len(places)} tensors without the code base's classes, expected {len(state)}")
    with torch.no_grad():
        for name, place in places.items():
            place.copy_(state[name])
    file.write(Path(output), {(own := place.untyped_storage()).data_ptr(): own for place in places.values()})
    made = module_state(_at(read_inert(Path(output)).content, key))
    if not all(torch.equal(made[name], place) for name, place in places.items()):
        raise InputError("found other tensors in the copy than were put into it")


def _real(path: Path, key: str, folders: tuple[str, ...]) -> dict[str, torch.Tensor]:
    sys.path[:0] = folders
    if path.suffix == ".pkl":
        with path.open("rb") as stream:
            content = pickle.load(stream)
    else:
        content = torch.load(path, map_location="cpu", weights_only=False)
    module = _at(content, key)
    return dict(module.state_dict() if isinstance(module, torch.nn.Module) else module or {})


def _at(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, dict) else None


if __name__ == "__main__":
    task, place, key, *others = sys.argv[1:]
    work: Callable[..., None] = read if task == "read" else write
    work(Path(place), key, Path(others[0]), *others[1:])
