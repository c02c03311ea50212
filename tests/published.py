"""State dicts with the tensor names of published networks, scaled down, in any number."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import torch

TABLES = Path(__file__).resolve().parent / "data" / "networks"
NAMES = tuple(path.name.removesuffix(".json.gz") for path in sorted(TABLES.glob("*.json.gz")))


@cache
def table(name: str) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Name, shape and dtype of the tensors of the network ``name``, as published."""
    record = json.loads(gzip.decompress((TABLES / f"{name}.json.gz").read_bytes()))
    return {key: (tuple(shape), getattr(torch, dtype)) for key, (shape, dtype) in record["state"].items()}


def published(name: str, seed: int, divisor: int = 64, prefix: str = "") -> dict[str, torch.Tensor]:
    """Random tensors under the names of the network ``name``, each dimension divided and at least 1."""
    generator = torch.Generator().manual_seed(seed)
    return {
        prefix + key: torch.randn([max(1, size // divisor) for size in shape], generator=generator).to(dtype)
        for key, (shape, dtype) in table(name).items()
    }


def same_form(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether names, shapes and dtypes are the same."""
    return {name: (t.shape, t.dtype) for name, t in one.items()} == {
        name: (t.shape, t.dtype) for name, t in other.items()
    }
