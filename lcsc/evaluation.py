"""From weights to a score: weights → images → features → distance, the same bytes however the work is spread.

Images are made in fixed chunks from noise that depends on the sample alone, with a fixed number of threads, and
several workers score different candidates at once: each has a generator of its own, so their number changes the
time and nothing else.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.data import quantise
from lcsc.generators.base import DifferentiableGenerator
from lcsc.metrics.frechet import Reference, frechet_distance
from lcsc.noise import Noise

if TYPE_CHECKING:
    from lcsc.extractors import Extractor
    from lcsc.generators import Generator

# Flat weights [P], in memory or on a device.
Weights = NDArray[Any] | torch.Tensor
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Score:
    """A distance, or None with the reason why there is none; ``seconds`` is what it took.

    ``gradient`` is the distance's in the coefficients, float64 [G, K], where it was asked for. ``raced`` is the
    distance on few images of a candidate that was not among the best there, and has no score for that reason.
    """

    value: float | None
    reason: str | None = None
    seconds: float = 0.0
    gradient: NDArray[np.float64] | None = field(default=None, compare=False)
    raced: float | None = None

    @property
    def order(self) -> float:
        """The value to sort by: a candidate without a score is worse than all others."""
        return math.inf if self.value is None else self.value


def generate(generator: Generator, noise: Noise, chunk: int) -> Iterator[torch.Tensor]:
    """Images in [-1, 1] on the grid of uint8, float32, in chunks [chunk, C, H, W] in the order of the noise.

    Values that are not finite are NaN.
    """
    for start in range(0, noise.images, chunk):
        part = noise.chunk(start, start + chunk).to(generator.device)
        yield quantise(without_infinities(generator(part.arrays, part.labels)))


def without_infinities(images: torch.Tensor) -> torch.Tensor:
    """``images`` with NaN for infinities, which rounding to bytes would make black or white."""
    return images if _all_finite(images) else images.masked_fill(~torch.isfinite(images), math.nan)


def features_of(extractor: Extractor, images: torch.Tensor) -> torch.Tensor:
    """Features [n, D] of ``images``; NaN for those that are not finite, whatever the extractor makes of them."""
    features = extractor(images)
    if _all_finite(images):
        return features
    return features.masked_fill(~torch.isfinite(images).flatten(1).all(1)[:, None], math.nan)


def _all_finite(images: torch.Tensor) -> bool:
    """Whether no value is infinite or NaN, of which one makes the sum so; a sum too large says no of finite ones."""
    return bool(torch.isfinite(images.sum()))


def measure(
    generator: Generator,
    extractors: Sequence[Extractor],
    noise: Noise,
    chunk: int,
    seen: Callable[[torch.Tensor], None] = lambda images: None,
) -> list[NDArray[np.float32]]:
    """Features [N, D] of the generator's images, one array for each of ``extractors``; ``seen`` gets each chunk."""
    collected: list[list[NDArray[np.float32]]] = [[] for _ in extractors]
    with torch.inference_mode():
        for images in generate(generator, noise, chunk):
            seen(images)
            for features, extractor in zip(collected, extractors, strict=True):
                features.append(features_of(extractor, images).float().cpu().numpy())
    return [np.concatenate(features) for features in collected]


def score_features(features: NDArray[np.float32], reference: Reference) -> tuple[float | None, str | None]:
    """The Fréchet distance of ``features`` [N, D], or None and the reason."""
    broken = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if broken:
        return None, f"{broken} of {len(features)} images have features that are not finite"
    value = frechet_distance(features, reference)
    return (value, None) if math.isfinite(value) else (None, "the distance is not finite")


def refused_weights(weights: Weights) -> str | None:
    """Why ``weights`` make no images, None where they do."""
    finite = weights.isfinite() if isinstance(weights, torch.Tensor) else np.isfinite(weights)
    return None if finite.all() else "the combined weights are not finite"


class Workers:
    """A pool of threads with a generator each; results do not depend on their number.

    PyTorch and NumPy release Python's lock while they calculate, so threads with one computing thread each use
    the cores as processes would, and share the resident bank.
    """

    def __init__(self, make_generator: Callable[[], Generator], count: int, threads: int = 1) -> None:
        self.count = max(count, 1)
        self._threads = threads
        self._free: queue.SimpleQueue[Generator] = queue.SimpleQueue()
        made = [make_generator() for _ in range(self.count)]
        self.differentiable = isinstance(made[0], DifferentiableGenerator)
        """Whether the generators' samples have a gradient in the weights."""
        for generator in made:
            self._free.put(generator)

    @contextmanager
    def generator(self) -> Iterator[Generator]:
        """A generator that no other thread uses within the block."""
        taken = self._free.get()
        try:
            yield taken
        finally:
            self._free.put(taken)

    def map(self, work: Callable[[T], R], items: Sequence[T], done: Callable[[R], None] | None = None) -> list[R]:
        """``work`` of each item, in the order of ``items``; ``done`` sees each result as it comes."""
        results: dict[int, R] = {}
        with ThreadPoolExecutor(self.count, initializer=torch.set_num_threads, initargs=(self._threads,)) as pool:
            futures = {pool.submit(work, item): index for index, item in enumerate(items)}
            try:
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
                    if done is not None:
                        done(future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [results[index] for index in range(len(items))]


@dataclass(frozen=True)
class Evaluator:
    """Scores weights by one extractor against one reference on fixed noise."""

    workers: Workers
    extractor: Extractor
    reference: Reference
    noise: Noise
    chunk: int

    @property
    def images(self) -> int:
        """N, the number of images of one evaluation."""
        return self.noise.images

    def score(self, weights: Weights) -> Score:
        """The distance of the images that ``weights`` [P] make."""
        began = time.perf_counter()
        reason = refused_weights(weights)
        if reason is not None:
            return Score(None, reason)
        with self.workers.generator() as generator:
            generator.load(weights)
            (features,) = measure(generator, [self.extractor], self.noise, self.chunk)
        value, reason = score_features(features, self.reference)
        return Score(value, reason, time.perf_counter() - began)
