"""The exact gradient of a score in the weights, in the memory of one chunk of images.

The Fréchet distance joins all images, so its gradient cannot be summed over chunks as a loss can. Two passes can:
the first makes all features without gradients, and from them the distance and its slope in each feature; the second
makes each chunk again and carries its rows of slopes back through extractor, rounding and sampler into the weights.
The rounding to bytes is passed straight through (Bengio, Léonard & Courville 2013); the clamp to [-1, 1] is not.

Chunks are summed in float64, in order, within :data:`PARTS` fixed parts of the images, and the parts in order: the
gradient is the same bytes for any number of workers, and for shards that each take whole parts.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.data import quantise
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator, Noise, Score, Workers, score_features
from lcsc.metrics.frechet import Reference
from lcsc.metrics.frechet_gradient import frechet_value_and_gradient

if TYPE_CHECKING:
    from lcsc.extractors import Extractor
    from lcsc.generators import Generator

# How many sums of chunks there are at most. Results depend on it in the last bit, so it is a constant.
PARTS = 16
Float64Array = NDArray[np.float64]


class ScoredGradient(NamedTuple):
    """A score and its gradient in the weights, float64 [P]; None with the score's reason where there is none."""

    score: Score
    gradient: Float64Array | None


class StraightThrough(torch.autograd.Function):
    """Rounding to bytes whose derivative is taken to be one."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor) -> torch.Tensor:
        """Images in [-1, 1] on the grid of uint8."""
        return quantise(images).to(images.dtype)

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> torch.Tensor:
        """The slopes as they come."""
        return slopes[0]


@dataclass(frozen=True)
class GradientEvaluator:
    """Scores weights as :class:`lcsc.evaluation.Evaluator` does, and gives the gradient of the score.

    ``quantised`` False leaves the images unrounded. Raises :class:`InputError` for an extractor that is not
    differentiable.
    """

    workers: Workers
    extractor: Extractor
    reference: Reference
    noise: Noise
    chunk: int
    quantised: bool = True

    def __post_init__(self) -> None:
        if not getattr(self.extractor, "differentiable", True):
            raise _not_differentiable(self.extractor)

    @classmethod
    def of(cls, evaluator: Evaluator) -> GradientEvaluator:
        """The gradient of the scores that ``evaluator`` gives."""
        return cls(evaluator.workers, evaluator.extractor, evaluator.reference, evaluator.noise, evaluator.chunk)

    @property
    def images(self) -> int:
        """N, the number of images of one gradient."""
        return self.noise.images

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The fixed parts of the images, (start, stop) each: whole chunks, as evenly as they go."""
        chunks = -(-self.images // self.chunk)
        count = min(PARTS, chunks)
        bounds = [min(chunks * part // count * self.chunk, self.images) for part in range(count + 1)]
        return list(pairwise(bounds))

    def value_and_gradient(self, weights: NDArray[np.floating[Any]]) -> ScoredGradient:
        """The distance of the images that ``weights`` [P] make, and its gradient in them, float64 [P]."""
        began = time.perf_counter()

        def outcome(value: float | None, reason: str | None, gradient: Float64Array | None) -> ScoredGradient:
            return ScoredGradient(Score(value, reason, time.perf_counter() - began), gradient)

        if not np.isfinite(weights).all():
            return outcome(None, "the combined weights are not finite", None)
        features = self.workers.map(lambda part: self.features(weights, part), self.parts)
        value, slopes, reason = self.slopes(np.concatenate(features))
        if slopes is None:
            return outcome(None, reason, None)
        gradient = self._sum(weights, slopes)
        if not np.isfinite(gradient).all():
            return outcome(None, "the gradient is not finite", None)
        return outcome(value, None, gradient)

    def features(self, weights: NDArray[np.floating[Any]], part: tuple[int, int]) -> NDArray[np.floating[Any]]:
        """First pass: the features [stop - start, D] of one of the :attr:`parts`, without gradients."""
        with self.workers.generator() as generator:
            generator.load(weights)
            with torch.inference_mode():
                found = [
                    _exact(self.extractor(self._rounded(generator(noises)))).cpu().numpy()
                    for _, noises in self._chunks(generator, part)
                ]
        return np.concatenate(found)

    def slopes(self, features: NDArray[np.floating[Any]]) -> tuple[float | None, Float64Array | None, str | None]:
        """Between the passes: distance of all ``features`` [N, D], its gradient in them [N, D], or the reason."""
        value, slopes = frechet_value_and_gradient(features, self.reference)
        if math.isfinite(value) and np.isfinite(slopes).all():
            return value, slopes, None
        _, reason = score_features(features.astype(np.float32), self.reference)
        return None, None, reason or "the gradient is not finite"

    def part_gradient(
        self, weights: NDArray[np.floating[Any]], slopes: Float64Array, part: tuple[int, int]
    ) -> Float64Array:
        """Second pass: what one of the :attr:`parts` adds to the gradient in the weights, float64 [P].

        ``slopes`` [stop - start, D] are the part's rows of the gradient in the features.
        """
        with self.workers.generator() as generator:
            generator.load(weights)
            flat = generator.flat
            total = torch.zeros(flat.size, dtype=torch.float64, device=generator.device)
            for start, noises in self._chunks(generator, part):
                rows = slopes[start - part[0] : start - part[0] + len(noises[0])]
                gradients = self._chunk_gradient(generator, noises, rows)
                for entry, gradient in zip(flat.entries, gradients, strict=True):
                    if gradient is not None:
                        total[entry.offset : entry.offset + entry.count] += gradient.reshape(-1)
        result: Float64Array = total.cpu().numpy()
        return result

    def _chunk_gradient(
        self, generator: Generator, noises: Sequence[torch.Tensor], slopes: Float64Array
    ) -> Sequence[torch.Tensor | None]:
        """The gradient in each combined tensor; None for one that the images do not depend on."""
        with torch.enable_grad():
            leaves = generator.flat.leaves()
            features = self.extractor(self._rounded(generator.differentiable(leaves, noises)))
            if not features.requires_grad:
                raise _not_differentiable(self.extractor)
            back = torch.from_numpy(np.ascontiguousarray(slopes)).to(features.device, features.dtype)
            return torch.autograd.grad(features, leaves, back, allow_unused=True)

    def _sum(self, weights: NDArray[np.floating[Any]], slopes: Float64Array) -> Float64Array:
        total = OrderedSum()

        def work(item: tuple[int, tuple[int, int]]) -> None:
            place, (start, stop) = item
            total.add(place, self.part_gradient(weights, slopes[start:stop], (start, stop)))

        self.workers.map(work, list(enumerate(self.parts)))
        assert total.value is not None
        return total.value

    def _rounded(self, images: torch.Tensor) -> torch.Tensor:
        if not self.quantised:
            return images
        rounded: torch.Tensor = StraightThrough.apply(images)
        return rounded

    def _chunks(self, generator: Generator, part: tuple[int, int]) -> Iterator[tuple[int, list[torch.Tensor]]]:
        for start in range(part[0], part[1], self.chunk):
            noises = self.noise.chunk(start, min(start + self.chunk, part[1]))
            yield start, [array.to(generator.device) for array in noises]


class OrderedSum:
    """A sum of arrays in the order of their places, whatever the order in which threads bring them."""

    def __init__(self) -> None:
        self.value: Float64Array | None = None
        self._waiting: dict[int, Float64Array] = {}
        self._next = 0
        self._lock = threading.Lock()

    def add(self, place: int, array: Float64Array) -> None:
        """Take the array of one place (0, 1, ...; each once); ``array`` is kept, not copied."""
        with self._lock:
            self._waiting[place] = array
            while self._next in self._waiting:
                first = self._waiting.pop(self._next)
                self.value = first if self.value is None else np.add(self.value, first, out=self.value)
                self._next += 1


def _exact(features: torch.Tensor) -> torch.Tensor:
    """NumPy has no bfloat16, and float16 sums are no use."""
    return features if features.dtype in (torch.float32, torch.float64) else features.float()


def _not_differentiable(extractor: Extractor) -> InputError:
    return InputError(
        f"extractor {extractor.name}: is not differentiable, expected one that is for a gradient search; search with "
        f"a differentiable resize of it and report with {extractor.name}, or use a value search such as evolution"
    )
