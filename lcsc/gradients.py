"""The exact gradient of a score in the weights, in the memory of one chunk of images.

The Fréchet distance joins all images, so its gradient cannot be summed over chunks as a loss can. Two passes can:
the first makes all features without gradients, and from them the distance and its slope in each feature; the second
makes each chunk again and carries its rows of slopes back through extractor, rounding and sampler into the weights.
The rounding to bytes is passed straight through (Bengio, Léonard & Courville 2013); the clamp to [-1, 1] is not.

Chunks are summed in float64, in order, within :data:`PARTS` fixed parts of the images, and the parts pairwise by
:class:`lcsc.tree_sum.TreeSum`: the gradient is the same bytes for any number of workers, and for shards that each
take a whole branch of parts (see :mod:`lcsc.shards`). Neither pass holds more than the features of all images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.evaluation import (
    Evaluator,
    Score,
    Weights,
    Workers,
    features_of,
    refused_weights,
    score_features,
    without_infinities,
)
from lcsc.generators.base import DifferentiableGenerator, Generator
from lcsc.metrics.frechet import Reference
from lcsc.metrics.frechet_gradient import Slopes, frechet_value_and_slopes
from lcsc.noise import Draw, Noise
from lcsc.straight_through import StraightThrough
from lcsc.tree_sum import TreeSum

if TYPE_CHECKING:
    from lcsc.extractors import Extractor

# How many sums of chunks there are, a power of two. Results depend on it in the last bit, so it is a constant.
PARTS = 16
Float64Array = NDArray[np.float64]
FeatureArray = NDArray[np.floating[Any]]


class ScoredGradient(NamedTuple):
    """A score and its gradient in the weights, float64 [P]; None with the score's reason where there is none."""

    score: Score
    gradient: Float64Array | None


@dataclass(frozen=True)
class GradientEvaluator:
    """Scores weights as :class:`lcsc.evaluation.Evaluator` does, and gives the gradient of the score.

    ``quantised`` False leaves the images unrounded. Raises :class:`InputError` for an extractor or a
    generator that is not differentiable.
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
        if not self.workers.differentiable:
            raise _no_gradients()

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
        """The :data:`PARTS` fixed parts of the images, (start, stop) each: whole chunks, as evenly as they go.

        Where there are fewer chunks than parts some are empty, spread so that branches of them still share evenly.
        """
        chunks = -(-self.images // self.chunk)
        bounds = [min(chunks * part // PARTS * self.chunk, self.images) for part in range(PARTS + 1)]
        return list(pairwise(bounds))

    def value_and_gradient(self, weights: Weights) -> ScoredGradient:
        """The distance of the images that ``weights`` [P] make, and its gradient in them, float64 [P]."""
        began = time.perf_counter()

        def outcome(value: float | None, reason: str | None, gradient: Float64Array | None) -> ScoredGradient:
            return ScoredGradient(Score(value, reason, time.perf_counter() - began), gradient)

        reason = refused_weights(weights)
        if reason is not None:
            return outcome(None, reason, None)
        features = self.features(weights, self.parts)
        value, slopes, reason = self.slopes(features)
        if slopes is None:
            return outcome(None, reason, None)
        gradient = self.gradient(weights, features, slopes, self.parts)
        assert gradient is not None  # there are images
        reason = refused_gradient(gradient)
        return outcome(value, None, gradient) if reason is None else outcome(None, reason, None)

    def features(self, weights: Weights, parts: Sequence[tuple[int, int]]) -> FeatureArray:
        """First pass: the features [n, D] of neighbouring ``parts``, without gradients; all workers share them."""

        def work(part: tuple[int, int]) -> FeatureArray:
            with self.workers.generator() as generator:
                generator.load(weights)
                with torch.inference_mode():
                    found = [
                        _exact(features_of(self.extractor, self._made(generator, draw))).cpu().numpy()
                        for _, draw in self._chunks(generator, part)
                    ]
            return np.concatenate(found)

        return _joined(self.workers.map(work, [part for part in parts if part[1] > part[0]]), self.extractor.dimension)

    def slopes(self, features: FeatureArray) -> tuple[float | None, Slopes | None, str | None]:
        """Between the passes: the distance of all ``features`` [N, D] and its slopes in them, or the reason."""
        value, slopes = frechet_value_and_slopes(features, self.reference)
        if math.isfinite(value) and slopes.finite:
            return value, slopes, None
        _, reason = score_features(features.astype(np.float32, copy=False), self.reference)
        return None, None, reason or "the gradient is not finite"

    def gradient(
        self,
        weights: Weights,
        features: FeatureArray,
        slopes: Slopes,
        parts: Sequence[tuple[int, int]],
    ) -> Float64Array | None:
        """Second pass: what neighbouring ``parts`` add to the gradient in the weights, float64 [P]; None for no image.

        ``features`` are theirs, [n, D]. ``parts`` must be a branch of the tree of all: 16, 8, 4, 2 or 1 of them.
        """
        total, first = TreeSum(len(parts)), parts[0][0]

        def work(item: tuple[int, tuple[int, int]]) -> None:
            place, (start, stop) = item
            filled = stop > start
            rows = features[start - first : stop - first]
            total.add(place, self._part_gradient(weights, rows, slopes, (start, stop)) if filled else None)

        self.workers.map(work, list(enumerate(parts)))
        return total.value

    def _part_gradient(
        self, weights: Weights, features: FeatureArray, slopes: Slopes, part: tuple[int, int]
    ) -> Float64Array:
        with self.workers.generator() as generator:
            generator.load(weights)
            total = torch.zeros(len(weights), dtype=torch.float64, device=generator.device)
            for start, draw in self._chunks(generator, part):
                rows = features[start - part[0] : start - part[0] + len(draw.arrays[0])]
                self._add_gradient(generator, draw, slopes.rows(rows, start), total)
        result: Float64Array = total.cpu().numpy()
        return result

    def _add_gradient(self, generator: Generator, draw: Draw, slopes: Float64Array, total: torch.Tensor) -> None:
        """Add to ``total`` [P] what the images of ``draw`` do; weights that they do not depend on have no gradient."""
        assert isinstance(generator, DifferentiableGenerator)  # seen to at the start
        with torch.enable_grad():
            leaves = generator.leaves()
            images = generator.differentiable(leaves, draw.arrays, draw.labels)
            features = self.extractor(self._rounded(images))
            if not features.requires_grad:
                raise _not_differentiable(self.extractor)
            back = torch.from_numpy(np.ascontiguousarray(slopes)).to(features.device, features.dtype)
            gradients = torch.autograd.grad(features, leaves, back, allow_unused=True)
        offset = 0
        for leaf, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                total[offset : offset + leaf.numel()] += gradient.reshape(-1)
            offset += leaf.numel()

    def _made(self, generator: Generator, draw: Draw) -> torch.Tensor:
        return self._rounded(without_infinities(generator(draw.arrays, draw.labels)))

    def _rounded(self, images: torch.Tensor) -> torch.Tensor:
        if not self.quantised:
            return images
        rounded: torch.Tensor = StraightThrough.apply(images)
        return rounded

    def _chunks(self, generator: Generator, part: tuple[int, int]) -> Iterator[tuple[int, Draw]]:
        for start in range(part[0], part[1], self.chunk):
            yield start, self.noise.chunk(start, min(start + self.chunk, part[1])).to(generator.device)


def refused_gradient(gradient: Float64Array) -> str | None:
    """Why ``gradient`` is none, None where it is one."""
    return None if np.isfinite(gradient).all() else "the gradient is not finite"


def _joined(found: list[FeatureArray], dimension: int) -> FeatureArray:
    """All rows in one array; ``found`` is emptied on the way, so that they are not there twice."""
    dtype = found[0].dtype if found else np.dtype(np.float32)
    rows = np.empty((sum(map(len, found)), dimension), dtype)
    stop = len(rows)
    while found:
        part = found.pop()
        rows[stop - len(part) : stop] = part
        stop -= len(part)
    return rows


def _exact(features: torch.Tensor) -> torch.Tensor:
    """NumPy has no bfloat16, and float16 sums are no use."""
    return features if features.dtype in (torch.float32, torch.float64) else features.float()


def _no_gradients() -> InputError:
    return InputError(
        "generator: has no 'leaves' and 'differentiable', expected both for gradients; add them "
        "(lcsc.generators.DifferentiableGenerator), or use a value search such as evolution"
    )


def _not_differentiable(extractor: Extractor) -> InputError:
    return InputError(
        f"extractor {extractor.name}: is not differentiable, expected one that is for a gradient search; add its twin "
        "to `extractors`, the same but for `resize: bicubic-antialias` (or bilinear-antialias), name that as "
        f"`searches.NAME.extractor` and keep {extractor.name} to choose and to report, or use a value search such as "
        "evolution"
    )
