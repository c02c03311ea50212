"""A process of its own that turns one pickled module into a safetensors file: ``PATH OUTPUT KEY [FOLDER ...]``.

Without folders the module's classes are replaced by stand-ins. With folders, which are put on the path of imports, the
pickle is loaded with the code base's own classes, which executes what it says.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.inert_pickle import module_state, read_inert
from lcsc.checkpoints.safetensors_files import SafetensorsFormat


def main(path: str, output: str, key: str, *folders: str) -> None:
    """Write the tensors of the module under ``key``; nothing where there are none."""
    state = _real(Path(path), key, folders) if folders else module_state(_at(read_inert(Path(path)), key))
    if state:
        kept = {name: tensor.detach().contiguous() for name, tensor in state.items()}
        SafetensorsFormat().write(Path(output), kept, {})


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
    main(*sys.argv[1:])
