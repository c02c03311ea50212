"""Tensors out of pickled modules without their code: unknown classes become stand-ins that only keep their state."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any

import torch

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
            return self.storage_of
        if module.partition(".")[0] == "torch" and (dtype := _dtype_of(name)):
            return dtype
        if module == "torch" and (name == "Size" or isinstance(getattr(torch, name, None), torch.dtype)):
            return getattr(torch, name)
        if name == "_reconstruct_persistent_obj":  # NVlabs' modules carry their source; its state alone is taken
            return _reconstruct
        return type(name, (Inert,), {"__module__": module})

    def storage_of(self, content: bytes) -> Any:
        """The storage that a bare pickle holds as the bytes of a file of ``torch.save``."""
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


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


def _dtype_of(storage: str) -> torch.dtype | None:
    """The type of the numbers in storages of a class; archives name one for each storage."""
    if storage == "UntypedStorage":
        return torch.uint8
    try:
        dtype: torch.dtype = torch.storage._get_dtype_from_pickle_storage_type(storage)
    except KeyError:
        return None
    return dtype


def _parameter(data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
    """A parameter to which something was attached, without what was attached."""
    return torch._utils._rebuild_parameter(data, requires_grad, hooks)  # type: ignore[no-untyped-call]


def _reconstruct(meta: Any) -> Inert:
    node = Inert()
    node.state = meta.get("state") if isinstance(meta, dict) else None
    return node
