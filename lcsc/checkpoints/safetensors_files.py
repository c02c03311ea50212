"""Checkpoints as safetensors files.

Reading goes through the safetensors package, which checks the header against the file's size. Writing is done
here, since the package orders metadata at random: the format is eight bytes with the header's length, the
header as JSON, and the tensors' bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from lcsc.checkpoints.base import MOST_DIGITS, Checkpoint, last_number, split_tied, starts_with
from lcsc.errors import InputError
from lcsc.files import replacing
from lcsc.refusals import unreadable

_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_MEANT_FOR_PYTORCH = ("format", "pt")


class SafetensorsFormat:
    """Reader and writer of ``.safetensors`` files."""

    name = "safetensors"
    suffixes: tuple[str, ...] = (".safetensors",)

    def recognises(self, path: Path) -> bool:
        """Whether a JSON header follows the eight bytes of a plausible length."""
        start = starts_with(path, 9)
        return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < 1 << 30

    def step_of(self, path: Path) -> int | None:
        """The metadata's ``step``, else the last number in the name."""
        text = self.metadata_of(path).get("step")
        if text is None:
            return last_number(path)
        if not text.isdecimal() or len(text) > MOST_DIGITS:
            raise InputError(f"{path}: metadata 'step': found {text[:40]!r}, expected a whole number of training steps")
        return int(text)

    def track_of(self, path: Path) -> str:
        """The metadata's ``track``, else "raw"."""
        return self.metadata_of(path).get("track", "raw")

    def metadata_of(self, path: Path) -> dict[str, str]:
        """The header's metadata."""
        try:
            with _opened(path) as stream:
                return dict(stream.metadata() or {})
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error

    def read(self, path: Path, state_key: str | None = None) -> Checkpoint:
        """The tensors of ``path``; names that the metadata maps to a tensor are read as tied to it."""
        if state_key is not None:
            raise InputError(
                f"{path}: found a safetensors file, which nests nothing; leave out state_key {state_key!r}"
            )
        try:
            with _opened(path) as stream:
                metadata = dict(stream.metadata() or {})
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error
        aliases = {name: kept for name, kept in metadata.items() if kept in tensors and name not in tensors}
        return Checkpoint(tensors, aliases, {key: text for key, text in metadata.items() if key not in aliases})

    def write(
        self,
        path: Path,
        tensors: Mapping[str, torch.Tensor],
        metadata: Mapping[str, str],
        state_key: str | None = None,
    ) -> None:
        """Write ``tensors`` whole or not at all; tied tensors stand once, the metadata names the others."""
        if state_key is not None:
            raise InputError(f"{path}: a safetensors file nests nothing; leave out state_key {state_key!r}")
        kept, aliases = split_tied(tensors)
        # Wide types first: every tensor then begins at a multiple of its item size.
        names = sorted(kept, key=lambda name: (-kept[name].element_size(), name))
        header = _header(path, names, kept, dict([_MEANT_FOR_PYTORCH], **metadata, **aliases))
        with replacing(path) as temporary, temporary.open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little"))
            stream.write(header)
            for name in names:
                stream.write(_bytes(kept[name]))


def _opened(path: Path) -> Any:
    return safe_open(str(path), framework="pt", device="cpu")


def _unreadable(path: Path, error: Exception) -> InputError:
    return unreadable(path, error, what="a safetensors file", way="copy it again")


def _header(path: Path, names: list[str], tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in _CODES:
            raise InputError(
                f"{path}: tensor {name!r}: found dtype {tensor.dtype}, which safetensors files cannot hold"
            )
        end = offset + tensor.numel() * tensor.element_size()
        shape = list(tensor.shape)
        header[name] = {"dtype": _CODES[tensor.dtype], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _bytes(tensor: torch.Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    array: np.ndarray[Any, np.dtype[np.uint8]] = flat.view(torch.uint8).numpy()
    return array.data
