"""Checkpoints that ``torch.save`` wrote: state dicts of plain tensors, flat or under a key.

Files are read with ``weights_only=True``: a pickle that would execute code is refused, never run.
"""

from __future__ import annotations

import argparse
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from safetensors import SafetensorError

from lcsc.checkpoints.base import Checkpoint, last_number, split_tied, starts_with
from lcsc.errors import InputError
from lcsc.files import replacing
from lcsc.refusals import unreadable
from lcsc.streams import DeferredErrors

# What training scripts keep beside the weights, mostly their arguments: an object that only holds values.
torch.serialization.add_safe_globals([argparse.Namespace])

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
# How many times its own size a file may describe: views share numbers, but not without end.
_MOST, _SLACK = 4, 1 << 20


class TorchFormat:
    """Reader and writer of ``.pt``, ``.pth``, ``.ckpt`` and ``.bin`` files."""

    name = "torch"
    suffixes: tuple[str, ...] = (".pt", ".pth", ".ckpt", ".bin")

    def recognises(self, path: Path) -> bool:
        """Whether the content begins as a zip archive with a pickle in it, or as a bare pickle, does."""
        start = starts_with(path, 4)
        if start == _ZIP:
            return path.suffix in self.suffixes or _holds_pickle(path)
        return start[:1] == _PICKLE

    def step_of(self, path: Path) -> int | None:
        """The last number in the name."""
        return last_number(path)

    def track_of(self, path: Path) -> str:
        """Always "raw": plain state dicts do not say what they hold."""
        return "raw"

    def metadata_of(self, path: Path) -> dict[str, str]:
        """Always empty."""
        return {}

    def read(self, path: Path, state_key: str | None = None) -> Checkpoint:
        """The state dict of ``path``, at ``state_key`` (dots lead to inner dicts) where it is nested."""
        content = load_tensors(path)
        return state_of(path, content if state_key is None else _at(path, content, state_key), state_key)

    def write(
        self,
        path: Path,
        tensors: Mapping[str, torch.Tensor],
        metadata: Mapping[str, str],
        state_key: str | None = None,
    ) -> None:
        """Write a state dict whole or not at all; ``metadata`` has no place in such a file."""
        content: dict[str, Any] = {name: tensor.detach() for name, tensor in tensors.items()}
        for key in reversed(state_key.split(".") if state_key else []):
            content = {key: content}
        save_torch(path, content)


def save_torch(path: Path, content: Any) -> None:
    """``torch.save``, whole or not at all, the same bytes for the same content whatever the file's name."""
    # Given a path, torch.save writes the file's name into it; given a stream, the bytes are the same.
    with replacing(path) as temporary, DeferredErrors(temporary) as stream:
        torch.save(content, cast(IO[bytes], stream))


def state_of(path: Path, state: Any, state_key: str | None = None) -> Checkpoint:
    """The checkpoint that the state dict ``state``, found in ``path`` at ``state_key``, is.

    Raises :class:`InputError` where it is none, or describes far more numbers than its file can hold.
    """
    _check_state(path, state, state_key)
    kept, aliases = split_tied({name: tensor.detach() for name, tensor in state.items()})
    _check_size(path, kept)
    return Checkpoint(kept, aliases)


def _holds_pickle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def load_tensors(path: Path) -> Any:
    """What ``path`` holds, where that is tensors and plain values only; tensors are mapped, not read.

    Raises :class:`InputError` for a truncated or foreign file and for one that would execute code.
    """
    archive = starts_with(path, 4) == _ZIP
    if archive:
        check_archive(path)
    mapped = archive and path.suffix != ".safetensors"  # given such a path, torch.load reads no pickle
    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore", UserWarning)  # what torch warns of is refused below, in one line
            return torch.load(path if mapped else stream, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
        OverflowError,
        RecursionError,
        SafetensorError,
    ) as error:
        if "TorchScript" in str(error):
            raise _holds_code(path, "a TorchScript program") from error
        raise unreadable(path, error, what="a torch file", way="copy it again") from error


def check_archive(path: Path) -> None:
    """Refuse an archive whose members unpack to more than it weighs; ``torch.save`` never compresses."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise unreadable(path, error, what="a torch file", way="copy it again") from error
    _check_bytes(path, unpacked, "unpack to")


def _check_size(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors that repeat a few stored numbers over and over (strides of 0, overlapping views)."""
    _check_bytes(path, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()), "describe")


def _check_bytes(path: Path, count: int, does: str) -> None:
    size = path.stat().st_size
    if count > _MOST * size + _SLACK:
        raise InputError(
            f"{path}: its contents {does} {count:,} bytes, found a file of {size:,}: refused, expected no more than "
            f"{_MOST} times the file; save contiguous tensors without compression"
        )


def _refused(path: Path, error: Exception) -> InputError:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    name = found[1] if found else _first_object(path)
    if name:
        return _holds_code(path, f"pickled Python code or classes ({name!r})")
    return InputError(f"{path}: cannot be read as plain tensors; it may be truncated or foreign, copy it again")


def _holds_code(path: Path, what: str) -> InputError:
    return InputError(
        f"{path}: found {what}, which would be executed when read: refused, expected tensors only; save the state "
        "dict alone (torch.save(model.state_dict(), ...)) or a safetensors file"
    )


def _first_object(path: Path) -> str | None:
    """The first Python object that a bare pickle names; its instructions are listed, none is carried out."""
    strings: list[str] = []
    try:
        with path.open("rb") as stream:
            for code, value, _ in pickletools.genops(stream):
                if code.name == "STACK_GLOBAL":
                    return ".".join(strings[-2:])
                if isinstance(value, str):
                    strings.append(value)
    except (OSError, ValueError, EOFError, IndexError, MemoryError, OverflowError, struct.error):
        pass
    return None


def _at(path: Path, content: Any, state_key: str) -> Any:
    if isinstance(content, dict) and state_key in content:
        return content[state_key]
    for part in state_key.split("."):
        if not isinstance(content, dict) or part not in content:
            raise InputError(f"{path}: state_key {state_key!r}: found {_keys(content)}, expected a key {part!r}")
        content = content[part]
    return content


def _check_state(path: Path, state: Any, state_key: str | None) -> None:
    where = f"{path}: state_key {state_key!r}" if state_key else str(path)
    if not isinstance(state, dict) or not state:
        raise InputError(f"{where}: found {_keys(state)}, expected a state dict of tensors")
    for name, value in state.items():
        if isinstance(name, str) and isinstance(value, torch.Tensor):
            continue
        nested = list(_state_keys(state))
        way = f"name the state dict with state_key, one of {_shown(nested)}" if nested else "save tensors only"
        raise InputError(f"{where}: {name!r}: found {type(value).__name__}, expected a tensor; {way}")


def _state_keys(content: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """Where state dicts are within ``content``, as ``state_key`` names them; an optimiser's numbered ones are none."""
    for key, inner in content.items():
        if not isinstance(key, str) or not isinstance(inner, dict) or not inner:
            continue
        if all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in inner.items()):
            yield prefix + key
        else:
            yield from _state_keys(inner, f"{prefix}{key}.")


def _keys(content: Any) -> str:
    return f"the keys {_shown(list(content))}" if isinstance(content, dict) else type(content).__name__


def _shown(keys: list[Any]) -> str:
    return ", ".join(str(key) for key in keys[:8]) + (", ..." if len(keys) > 8 else "") or "none"
