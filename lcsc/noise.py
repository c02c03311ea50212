"""The noise of samples, with their class labels: what a generator is given besides weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from lcsc import seeds

# Noise that is drawn again takes a hundredth of the time of its images, and memory must not grow with their number.
CACHED_NOISE_BYTES = 1 << 22


class Draw(NamedTuple):
    """What B samples are made from: float32 ``arrays`` [B, ...] and, for a class-conditional network, labels [B]."""

    arrays: tuple[torch.Tensor, ...]
    labels: torch.Tensor | None = None

    def rows(self, start: int, stop: int) -> Draw:
        """Samples ``start`` to ``stop`` (exclusive) of these."""
        labels = None if self.labels is None else self.labels[start:stop]
        return Draw(tuple(array[start:stop] for array in self.arrays), labels)

    def to(self, device: torch.device) -> Draw:
        """The same on ``device``."""
        labels = None if self.labels is None else self.labels.to(device)
        return Draw(tuple(array.to(device) for array in self.arrays), labels)


class Noise:
    """The noise of ``images`` samples: a float32 draw [images, *shape] for each of ``shapes``.

    With ``classes`` each sample has a label, too, drawn uniformly from 0 to classes - 1 as the noise is: from the
    sample alone. All of it is drawn once and kept where it is small, and anew for each chunk where it is not.
    """

    def __init__(
        self,
        purpose: seeds.Purpose,
        seed: int,
        iteration: int,
        images: int,
        shapes: Sequence[Sequence[int]],
        classes: int | None = None,
    ) -> None:
        self.images = images

        def draw(start: int, stop: int) -> Draw:
            drawn = (
                seeds.noise(purpose, seed, iteration, start, stop, tuple(shape), step)
                for step, shape in enumerate(shapes)
            )
            arrays = tuple(torch.from_numpy(array) for array in drawn)
            if classes is None:
                return Draw(arrays)
            return Draw(arrays, torch.from_numpy(seeds.labels(purpose, seed, iteration, start, stop, classes)))

        self._draw = draw
        small = 4 * images * sum(map(math.prod, shapes)) <= CACHED_NOISE_BYTES
        self._kept = self._draw(0, images) if small else None

    def chunk(self, start: int, stop: int) -> Draw:
        """What samples ``start`` to ``stop`` (exclusive) are made from."""
        stop = min(stop, self.images)
        return self._draw(start, stop) if self._kept is None else self._kept.rows(start, stop)
