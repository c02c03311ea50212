"""Guards against self-deception: what would show that a distance fell for a wrong reason.

A Fréchet distance may fall while images lose variety, crowd at few real ones or copy training images. So the images of
one report block are looked at in other ways: kernel distance, precision, recall, density and coverage by every
extractor, the Inception score by one that knows classes, and distances in pixels to training and to held-out images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc import seeds
from lcsc.columns import Column, RealImages
from lcsc.extractors import Extractor
from lcsc.metrics import jackknife, kid
from lcsc.metrics.inception_score import feature_score
from lcsc.metrics.neighbours import nearest_distances
from lcsc.metrics.precision_recall import NEIGHBOURS, Balls, balls, compare_supports
from lcsc.reference import real_features

REAL_LIMIT = 5000  # real images of a part whose features are made; more add cost and little else
PIECES = 5  # sets of generated images, each of as many as there are real ones
Features = NDArray[np.float32]


@dataclass(frozen=True)
class _RealFeatures:
    """Features of real images by one extractor, with the balls around those of held-out images."""

    train: Features
    held_out: Features
    balls: Balls


class Guards:
    """Real images' features, made once, and what generated images are compared with."""

    def __init__(self, real: RealImages, columns: Sequence[Column], images: int, seed: int) -> None:
        """For ``images`` generated images of each method; ``seed`` is that of the evaluation."""
        self.columns, self._seed = columns, seed
        self._pixels = real
        chosen = {"train": _some(real.train, seed, 0), "held-out": _some(real.held_out, seed, 1)}
        self.size = min(images, *map(len, chosen.values()))
        self.pieces = min(PIECES, images // self.size)
        self.neighbours = min(NEIGHBOURS, self.size - 1)
        self.blocks = min(jackknife.BLOCKS, images)
        extractors = {column.extractor.name: column.extractor for column in columns}
        self._real = {name: self._features_of(chosen, extractor) for name, extractor in extractors.items()}
        self.real_distance = float(nearest_distances(real.held_out, real.train).mean())

    def _features_of(self, images: Mapping[str, NDArray[np.uint8]], extractor: Extractor) -> _RealFeatures:
        train, held_out = (real_features(extractor, images[part], extractor.device) for part in ("train", "held-out"))
        return _RealFeatures(train, held_out, balls(held_out[: self.size], self.neighbours))

    def shown(self, count: int) -> NDArray[np.uint8]:
        """At most ``count`` real held-out images, in random order: files are often sorted by class."""
        order = seeds.generator("guards", self._seed, 3).permutation(len(self._pixels.held_out))
        return self._pixels.held_out[order[:count]]

    @property
    def about(self) -> dict[str, Any]:
        """What the guards were made with."""
        return {
            "neighbours": self.neighbours,
            "images": self.size,
            "pieces": self.pieces,
            "kd_images": min(self.size, kid.SIZE),
            "kd_subsets": kid.SUBSETS,
            "jackknife_blocks": self.blocks,
        }

    def of_images(self, images: NDArray[np.uint8]) -> dict[str, Any]:
        """Distances in pixels from generated ``images`` to their nearest real ones (``neighbours``, ``copies``).

        ``share`` of the images are nearer to a training image than to any held-out one. Were both parts alike to
        the generator, the nearest of all real images were a training image as often as training images are among
        them, which is ``expected``: more than that, with a ``ratio`` (mean distance to training images over that
        of real held-out images) below 1, means copies.
        """
        train = nearest_distances(images, self._pixels.train)
        held_out = nearest_distances(images, self._pixels.held_out)
        neighbours = {"train": {"mean": float(train.mean())}, "held-out": {"mean": float(held_out.mean())}}
        ratio = float(train.mean()) / self.real_distance if self.real_distance else None
        copies = {"ratio": ratio, "share": float((train < held_out).mean()), "expected": self.expected_share}
        return {"neighbours": neighbours, "copies": copies}

    @property
    def expected_share(self) -> float:
        """The share of real images that are training images."""
        return len(self._pixels.train) / (len(self._pixels.train) + len(self._pixels.held_out))

    def of_features(self, features: Mapping[str, Features]) -> dict[str, dict[str, Any]]:
        """The guards of generated ``features`` [N, D], by the extractor's name."""
        return {name: self._of_one(name, values) for name, values in features.items()}

    def _of_one(self, name: str, features: Features) -> dict[str, Any]:
        real = self._real[name]
        return {
            "kd": {
                "held-out": self._kernel_distance(features, real.held_out),
                "train": self._kernel_distance(features, real.train),
            },
            **self._support(features, real.balls),
            **self._class_score(name, features),
            "jackknife": self._jackknife(name, features),
        }

    def of_real(self) -> dict[str, dict[str, Any]]:
        """What real images reach: the training images' guards against held-out images, by extractor."""
        return {
            name: {
                "kd": {"held-out": self._kernel_distance(real.train, real.held_out)},
                **self._support(real.train, real.balls),
                **self._class_score(name, real.train),
            }
            for name, real in self._real.items()
        }

    def _kernel_distance(self, features: Features, real: Features) -> dict[str, float]:
        found = kid.kernel_distance(
            features, real, seeds.seed_sequence("guards", self._seed, 2), size=min(self.size, kid.SIZE)
        )
        return {"mean": found.mean, "spread": found.spread}

    def _support(self, features: Features, real: Balls) -> dict[str, float]:
        """Means over pieces of as many features as ``real`` has: recall and coverage depend on the number."""
        pieces = min(self.pieces, len(features) // self.size)
        found = [
            asdict(compare_supports(real, balls(features[piece * self.size :][: self.size], self.neighbours)))
            for piece in range(pieces)
        ]
        return {key: float(np.mean([support[key] for support in found])) for key in found[0]}

    def _class_score(self, name: str, features: Features) -> dict[str, Any]:
        """The Inception score, by an extractor that knows the classes."""
        weights = next(c.extractor.class_weights for c in self.columns if c.extractor.name == name)
        if weights is None:
            return {}
        mean, spread = feature_score(features, weights.cpu().numpy())
        return {"inception_score": {"mean": mean, "spread": spread}}

    def _jackknife(self, name: str, features: Features) -> dict[str, dict[str, float] | None]:
        """Of the distance in each column of the extractor ``name``; None for two images, too few for blocks."""
        columns = [column for column in self.columns if column.extractor.name == name]
        if self.blocks < 3:
            return {column.part: None for column in columns}
        references = [column.reference.reference for column in columns]
        found = jackknife.frechet_jackknife(features, references, self.blocks)
        return {column.part: asdict(spread) for column, spread in zip(columns, found, strict=True)}


def _some(images: NDArray[np.uint8], seed: int, part: int) -> NDArray[np.uint8]:
    """At most :data:`REAL_LIMIT` of ``images``, in random order, the same ones for all methods."""
    order = seeds.generator("guards", seed, part).permutation(len(images))
    return images[order[:REAL_LIMIT]]
