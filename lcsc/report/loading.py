"""Lines that load the merged checkpoint: as safetensors, and in the format of the run's own files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NATIVE = "native"  # the folder beside the merged file that holds it in the run's own format


@dataclass(frozen=True)
class Snippet:
    """Lines to copy, with what is to be said of them."""

    title: str
    code: str
    words: str = ""


@dataclass(frozen=True)
class NativeFile:
    """The merged checkpoint at ``path`` in the ``container`` of the run's own files, as the bank's index has it."""

    path: str
    container: Mapping[str, Any]


def native_file(merged: str, bank: str) -> NativeFile | None:
    """What the export put beside ``merged`` for the bank whose index is ``bank``; None where it made no such file.

    Checkpoints of a training of the workflow itself are safetensors as they are.
    """
    folder = Path(merged).parent / NATIVE
    if not folder.is_dir():
        return None
    from lcsc.bank.index import read_index

    index = read_index(Path(bank).parent)
    path = folder / str(index.container.get("name", index.checkpoints[-1].source))
    return NativeFile(path.as_posix(), index.container) if path.exists() else None


def loading(merged: str, native: NativeFile | None) -> list[Snippet]:
    """How to load the file ``merged``, and ``native`` where there is one."""
    plain = Snippet("Load it into your own network", _plain(merged, None))
    return [plain] if native is None else [plain, _native(native)]


def _native(native: NativeFile) -> Snippet:
    title, path, container = "Or as the run's own files are loaded", native.path, native.container
    kind = container["format"]
    if kind == "diffusers":
        name = json.loads(container["config"] or "{}").get("_class_name", "UNet2DModel")
        return Snippet(title, f"from diffusers import {name}\n\nnetwork = {name}.from_pretrained({path!r})")
    if kind == "edm":
        words = (
            "With the code base's folder on Python's path; unpickling runs code of the file, which is a copy of yours."
        )
        return Snippet(title, _pickled(path, container["key"]), words)
    if kind == "ddim":
        return Snippet(title, _torch(path, "[0]"), "The list's first entry is the model.")
    if kind == "lightning":
        words = "For the whole Lightning module; `load_from_checkpoint` of its class takes the file, too."
        return Snippet(title, _torch(path, "['state_dict']"), words)
    return Snippet(title, _plain(path, container.get("state_key")))


def _plain(path: str, key: str | None) -> str:
    if Path(path).suffix == ".safetensors":
        lines = f"from safetensors.torch import load_file\n\nweights = load_file({path!r})"
        return f"{lines}\nnetwork.load_state_dict(weights)"
    return _torch(path, "".join(f"[{part!r}]" for part in (key or "").split(".") if part))


def _torch(path: str, inside: str) -> str:
    return (
        f"import torch\n\nweights = torch.load({path!r}, weights_only=True){inside}\nnetwork.load_state_dict(weights)"
    )


def _pickled(path: str, key: str) -> str:
    if Path(path).suffix == ".pt":
        return f"import torch\n\nnetwork = torch.load({path!r}, weights_only=False)[{key!r}]"
    return f"import pickle\n\nwith open({path!r}, 'rb') as file:\n    network = pickle.load(file)[{key!r}]"
