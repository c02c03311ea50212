"""Checks that the checkpoints of one run fit together, seen one at a time."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.checkpoints.base import Checkpoint
from lcsc.checkpoints.names import natural_key, strip_prefix
from lcsc.errors import InputError

logger = logging.getLogger("lcsc")

Role = Literal["combined", "constant", "counter"]
COMBINED_TYPES = (torch.float32, torch.float16, torch.bfloat16)
WHOLE_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
RUNNING = ("running_mean", "running_var")
# How far features move where checkpoints are stored so (K = 200, coefficients up to 6).
_MOVED = {"float16": "9 %", "bfloat16": "50 %"}


@dataclass(frozen=True)
class TensorSpec:
    """Name (without prefix), shape and dtype (such as "float32") of a tensor, and the names tied to it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    aliases: tuple[str, ...] = ()


class RunCheck:
    """Takes the checkpoints of a run in order of their steps and refuses the first that does not fit.

    Kept between checkpoints are names, shapes and those small tensors that are not combined, never weights.
    """

    def __init__(self) -> None:
        self.prefix = ""
        self.specs: tuple[TensorSpec, ...] = ()
        self._reference: Path | None = None
        self._first: dict[str, NDArray[Any]] = {}
        self._last: dict[str, NDArray[Any]] = {}
        self._counters: set[str] = set()

    def add(self, path: Path, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
        """Check ``checkpoint``, read from ``path``; its tensors under bare names, in the order of ``specs``.

        Raises :class:`InputError` naming file, tensor, what was found and what the first file has.
        """
        prefix, tensors, specs = _described(path, checkpoint)
        if self._reference is None:
            self._reference, self.specs = path, specs
            _warn_of_half_precision(path, specs)
        else:
            self._compare(path, specs)
        self.prefix = prefix
        for spec in specs:
            self._check_values(path, spec.name, tensors[spec.name])
        return {spec.name: tensors[spec.name] for spec in specs}

    def role(self, name: str) -> Role:
        """How the tensor ``name`` of a merged checkpoint is made."""
        if name not in self._last:
            return "combined"
        return "counter" if name in self._counters else "constant"

    def others(self) -> dict[str, NDArray[Any]]:
        """The tensors that are not combined: constants, and counters as the last checkpoint has them."""
        return dict(self._last)

    def _compare(self, path: Path, specs: tuple[TensorSpec, ...]) -> None:
        found = {spec.name: spec for spec in specs}
        expected = {spec.name: spec for spec in self.specs}
        as_in = f"as in {self._reference}; leave one of them out or choose files of one run"
        for name in sorted(expected.keys() - found.keys(), key=natural_key):
            raise InputError(f"{path}: tensor {name!r} is missing, expected {len(expected)} tensors {as_in}")
        for name in sorted(found.keys() - expected.keys(), key=natural_key):
            raise InputError(f"{path}: found an extra tensor {name!r}, expected {len(expected)} tensors {as_in}")
        for name, spec in found.items():
            other = expected[name]
            for what in ("shape", "dtype", "aliases"):
                one, two = getattr(spec, what), getattr(other, what)
                if one != two:
                    raise InputError(f"{path}: tensor {name!r}: found {what} {one}, expected {two} {as_in}")

    def _check_values(self, path: Path, name: str, tensor: torch.Tensor) -> None:
        if tensor.is_floating_point():
            _check_finite(path, name, tensor)
            if tensor.dtype == torch.float64:
                self._check_constant(path, name, tensor, _DOUBLE)
            elif name.endswith(RUNNING):
                self._check_running(path, name, tensor)
        else:
            self._check_whole(path, name, tensor)

    def _check_running(self, path: Path, name: str, tensor: torch.Tensor) -> None:
        # A running statistic that never changes is combined like any weight: it comes out as it went in.
        value = tensor.float().numpy().copy()
        if not np.array_equal(self._first.setdefault(name, value), value):
            raise InputError(self._differs(path, name, _STATISTIC))

    def _check_constant(self, path: Path, name: str, tensor: torch.Tensor, reason: str) -> None:
        value = tensor.numpy().copy()
        if not np.array_equal(self._first.setdefault(name, value), value):
            raise InputError(self._differs(path, name, reason))
        self._last[name] = value

    def _check_whole(self, path: Path, name: str, tensor: torch.Tensor) -> None:
        value = tensor.numpy().copy()
        last = self._last.get(name, value)
        if not np.array_equal(last, value):
            if value.size != 1 and not name.endswith("num_batches_tracked"):
                raise InputError(self._differs(path, name, _BUFFER))
            if np.any(value < last):
                raise InputError(self._differs(path, name, _COUNTER))
            self._counters.add(name)
        self._last[name] = value

    def _differs(self, path: Path, name: str, reason: str) -> str:
        files = f"{self._reference} and the files after it"
        return f"{path}: tensor {name!r}: found values that differ from those of {files}; {reason}"


_DOUBLE = "expected float64 tensors to be constant, since weights are combined from float32; save float32 weights"
_BUFFER = "expected whole-number buffers to be equal in all checkpoints, since they cannot be combined"
_COUNTER = "expected a counter that never falls from step to step; choose files of one run"
_STATISTIC = (
    "expected equal running statistics, since extrapolated running variances are meaningless; "
    "save checkpoints without them or make them anew from images"
)


def _described(path: Path, checkpoint: Checkpoint) -> tuple[str, dict[str, torch.Tensor], tuple[TensorSpec, ...]]:
    names = [*checkpoint.tensors, *checkpoint.aliases]
    prefix, stripped = strip_prefix(names)
    new = dict(zip(names, stripped, strict=True))
    tensors = {new[name]: tensor for name, tensor in checkpoint.tensors.items()}
    tied: dict[str, list[str]] = {}
    for alias, kept in checkpoint.aliases.items():
        tied.setdefault(new[kept], []).append(new[alias])
    specs = tuple(
        _spec(path, name, tensors[name], tuple(sorted(tied.get(name, ()), key=natural_key)))
        for name in sorted(tensors, key=natural_key)
    )
    if not any(getattr(torch, spec.dtype) in COMBINED_TYPES and 0 not in spec.shape for spec in specs):
        raise _no_weights(path, specs)
    return prefix, tensors, specs


def _no_weights(path: Path, specs: tuple[TensorSpec, ...]) -> InputError:
    double = next((spec.name for spec in specs if spec.dtype == "float64"), None)
    if double is not None:
        return InputError(
            f"{path}: tensor {double!r}: found float64, expected float32, float16 or bfloat16; save float32 weights"
        )
    return InputError(f"{path}: found no floating-point tensors, expected the weights of a network")


def _spec(path: Path, name: str, tensor: torch.Tensor, aliases: tuple[str, ...]) -> TensorSpec:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.dtype not in (*COMBINED_TYPES, *WHOLE_TYPES, torch.float64):
        layout = "" if tensor.layout == torch.strided else f"{str(tensor.layout).removeprefix('torch.')} "
        raise InputError(
            f"{path}: tensor {name!r}: found {layout}{dtype}, expected dense float32, integers or booleans"
        )
    return TensorSpec(name, tuple(tensor.shape), dtype, aliases)


def _check_finite(path: Path, name: str, tensor: torch.Tensor) -> None:
    if tensor.numel() == 0:
        return
    # aminmax passes NaN on, so one pass without a temporary array sees every bad value.
    low, high = (float(value) for value in torch.aminmax(tensor))
    if not (math.isfinite(low) and math.isfinite(high)):
        count = int((~torch.isfinite(tensor)).sum())
        raise InputError(
            f"{path}: tensor {name!r}: found {count} of {tensor.numel()} values NaN or infinite, expected "
            "finite weights; leave this file out or choose steps before it"
        )


def _warn_of_half_precision(path: Path, specs: tuple[TensorSpec, ...]) -> None:
    half = [spec for spec in specs if spec.dtype in ("float16", "bfloat16")]
    if half:
        logger.warning(
            "%s: %d of %d tensors are %s: combining amplifies their rounding errors, since coefficients are negative, "
            "too; in our measurements features moved by %s, by float32 not at all; better save float32",
            *(path, len(half), len(specs), half[0].dtype, _MOVED[half[0].dtype]),
        )
