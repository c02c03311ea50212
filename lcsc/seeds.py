"""Random numbers by purpose, and noise that depends on the sample alone.

Noise is drawn on the CPU in fixed chunks of :data:`NOISE_CHUNK` samples. Each chunk has a
``numpy.random.SeedSequence`` child of its own, named by (purpose, iteration, chunk, sampler step), so a sample
gets the same noise whatever the batch, the shard or the device that makes its image.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Purpose = Literal["search", "stopping", "selection", "report", "optimiser", "training", "data", "guards"]

PURPOSES: Mapping[str, int] = MappingProxyType(
    {
        "search": 1,
        "stopping": 2,
        "selection": 3,
        "report": 4,
        "optimiser": 5,
        "training": 6,
        "data": 7,
        "guards": 8,
    }
)
NOISE_CHUNK = 256
_NOISE, _LABELS = 0, 1


def seed_sequence(purpose: Purpose, seed: int, *path: int) -> np.random.SeedSequence:
    """The seed sequence of ``purpose`` under ``seed``; different purposes and paths never share a stream."""
    return np.random.SeedSequence(seed, spawn_key=(PURPOSES[purpose], *path))


def generator(purpose: Purpose, seed: int, *path: int) -> np.random.Generator:
    """A random number generator of ``purpose`` under ``seed``."""
    return np.random.Generator(np.random.PCG64(seed_sequence(purpose, seed, *path)))


def torch_seed(purpose: Purpose, seed: int, *path: int) -> int:
    """A 63-bit seed for ``torch.manual_seed``."""
    return int(seed_sequence(purpose, seed, *path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def noise(
    purpose: Purpose, seed: int, iteration: int, start: int, stop: int, shape: tuple[int, ...], step: int = 0
) -> NDArray[np.float32]:
    """Standard normal noise of samples ``start`` to ``stop`` (exclusive), float32, shape [stop - start, *shape].

    ``iteration`` numbers independent draws of one purpose (report blocks, iterations of a stochastic search);
    ``step`` numbers the sampler's steps that need noise, 0 for the initial one.
    """
    return _assemble(start, stop, lambda chunk: _normal(purpose, seed, (iteration, chunk, step, _NOISE), shape))


def labels(purpose: Purpose, seed: int, iteration: int, start: int, stop: int, classes: int) -> NDArray[np.int64]:
    """Class labels drawn uniformly with the noise of the same samples, shape [stop - start]."""

    def draw(chunk: int) -> NDArray[np.int64]:
        rng = generator(purpose, seed, iteration, chunk, 0, _LABELS)
        return rng.integers(classes, size=NOISE_CHUNK, dtype=np.int64)

    return _assemble(start, stop, draw)


def _normal(purpose: Purpose, seed: int, path: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return generator(purpose, seed, *path).standard_normal((NOISE_CHUNK, *shape), dtype=np.float32)


def _assemble(start: int, stop: int, draw: Any) -> NDArray[Any]:
    first = start // NOISE_CHUNK
    chunks = [draw(chunk) for chunk in range(first, max(first + 1, -(-stop // NOISE_CHUNK)))]
    offset = first * NOISE_CHUNK
    return np.concatenate(chunks)[start - offset : stop - offset]


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of ``rng`` as JSON can hold it."""
    return dict(rng.bit_generator.state)


def restore_generator(state: Mapping[str, Any]) -> np.random.Generator:
    """The generator whose state :func:`generator_state` returned."""
    bit_generator: Any = np.random.PCG64()
    bit_generator.state = dict(state)
    return np.random.Generator(bit_generator)
