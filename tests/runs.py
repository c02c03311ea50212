"""Small training runs as files, for the tests of everything that reads checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from lcsc.bank import Bank
from lcsc.checkpoints import format_named
from lcsc.collection import collect
from lcsc.errors import InputError

SHAPES: dict[str, tuple[int, ...]] = {
    "body.0.weight": (5, 3),
    "body.0.bias": (5,),
    "body.10.weight": (4, 5),
    "body.2.weight": (2, 5),
    "scale": (),
}


def weights(seed: int, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in (shapes or SHAPES).items()}


def save(path: Path, tensors: Mapping[str, torch.Tensor], **metadata: str) -> Path:
    format_named("torch" if path.suffix == ".pt" else "safetensors").write(path, tensors, metadata)
    return path


def save_run(folder: Path, states: Sequence[Mapping[str, torch.Tensor]], suffix: str = ".safetensors") -> list[Path]:
    """One file for each state, at steps 10, 20, ..."""
    return [
        save(folder / f"step-{10 * (k + 1):06d}{suffix}", state, step=str(10 * (k + 1)))
        for k, state in enumerate(states)
    ]


def make_bank(folder: Path, count: int = 4, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Bank:
    save_run(folder / "run", [weights(seed, shapes) for seed in range(count)])
    return collect(folder / "run", folder / "bank")


def wild_bank(folder: Path, count: int = 5, parameters: int = 300) -> Bank:
    """A bank whose weights differ by 70 orders of magnitude, with zeros of both signs and subnormals."""
    rng = np.random.default_rng(0)
    states = []
    for _ in range(count):
        values = rng.standard_normal(parameters) * 10.0 ** rng.uniform(-40, 37, parameters)
        values[::17], values[5::17] = 0.0, -0.0
        flat = torch.from_numpy(values.astype(np.float32))
        states.append({"a.weight": flat[:100].clone(), "b.weight": flat[100:110].clone(), "c": flat[110:].clone()})
    save_run(folder / "run", states)
    return collect(folder / "run", folder / "bank")


def assert_flips_are_found(bank: Bank, *names: str) -> None:
    """Flip seeded single bits of the bank's files ``names``: verifying names the file each time, in one line."""
    rng = np.random.default_rng(0)
    for name in names:
        path = bank.path / name
        content = path.read_bytes()
        for place in rng.integers(len(content), size=60):
            changed = bytearray(content)
            changed[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(changed))
            with pytest.raises(InputError) as error:
                Bank.open(bank.path, verify=True)
            assert str(path) in str(error.value)
            assert "\n" not in str(error.value)
        path.write_bytes(content)
    bank.verify()
