"""Tensors out of pickled modules without their code: unknown classes become stand-ins that only keep their state."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from lcsc.checkpoints.base import starts_with
from lcsc.errors import InputError

_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
_WITH_STATE = "_rebuild_parameter_with_state"


class Inert(dict[Any, Any]):
    """Stands for an object of any class: takes what the pickle gives it, and does nothing with it."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:  # noqa: D102
        return dict.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = None
        self.items_seen: list[Any] = []

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __setstate__(self, state: Any) -> None:
        self.state = state[0] if isinstance(state, tuple) and state else state

    def __call__(self, *_: Any, **__: Any) -> Inert:  # noqa: D102
        return Inert()

    def append(self, item: Any) -> None:
        """Keep ``item`` as lists do."""
        self.items_seen.append(item)

    def extend(self, items: Any) -> None:
        """Keep ``items`` as lists do."""
        self.items_seen.extend(items)


class Unpickler(pickle.Unpickler):
    """Knows what tensors are made of; every other global is a stand-in, so no code of the pickle's choice runs."""

    def find_class(self, module: str, name: str) -> Any:
        """The object for a global of the pickle."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if name == "set" and module in ("builtins", "__builtin__"):
            return set
        if module == "torch._utils" and name in _TENSORS:
            return getattr(torch._utils, name)
        if (module, name) == ("torch._utils", _WITH_STATE):
            return _parameter
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        if module == "torch" and (name == "Size" or isinstance(getattr(torch, name, None), torch.dtype)):
            return getattr(torch, name)
        if name == "_reconstruct_persistent_obj":  # NVlabs' modules carry their source; its state alone is taken
            return _reconstruct
        return type(name, (Inert,), {"__module__": module})


def load(stream: Any, **_: Any) -> Any:
    """As ``pickle.load``; with :class:`Unpickler` this makes the module fit for ``torch.load(pickle_module=...)``."""
    return Unpickler(stream).load()


def read_inert(path: Path) -> Any:
    """The content of a file of ``pickle.dump`` or ``torch.save``."""
    if starts_with(path, 2) == b"PK":
        import sys

        _refuse_programs(path)
        module: Any = sys.modules[__name__]
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=module, mmap=True)
    with path.open("rb") as stream:
        return load(stream)


def _refuse_programs(path: Path) -> None:
    """A TorchScript archive would be loaded as the program that it is."""
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("constants.pkl") for name in archive.namelist()):
            raise InputError(f"{path}: found a TorchScript program, expected a pickled module: refused")


def module_state(node: Any) -> dict[str, torch.Tensor]:
    """The state dict of a module that was read so, or of a mapping of tensors; empty where it is neither.

    It is empty, too, where any module within pickles itself in a way of its own: its tensors would be missing.
    """
    if isinstance(node, dict) and node and all(isinstance(value, torch.Tensor) for value in node.values()):
        return dict(node)
    try:
        return _collected(node, "")
    except _UnknownModuleError:
        return {}


class _UnknownModuleError(Exception):
    """A module whose state is not where torch keeps it."""


def _collected(node: Any, prefix: str) -> dict[str, torch.Tensor]:
    state = getattr(node, "state", None)
    if not isinstance(state, dict) or not isinstance(state.get("_parameters"), dict):
        raise _UnknownModuleError(prefix)
    hidden = state.get("_non_persistent_buffers_set") or ()
    own = {**state["_parameters"], **{k: v for k, v in (state.get("_buffers") or {}).items() if k not in hidden}}
    if any(not (value is None or isinstance(value, torch.Tensor)) for value in own.values()):
        raise _UnknownModuleError(prefix)
    found = {prefix + name: value.detach() for name, value in own.items() if value is not None}
    for name, child in (state.get("_modules") or {}).items():
        found |= _collected(child, f"{prefix}{name}.") if child is not None else {}
    return found


def _parameter(data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
    """A parameter to which something was attached, without what was attached."""
    return torch._utils._rebuild_parameter(data, requires_grad, hooks)  # type: ignore[no-untyped-call]


def _storage(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _reconstruct(meta: Any) -> Inert:
    node = Inert()
    node.state = meta.get("state") if isinstance(meta, dict) else None
    return node
