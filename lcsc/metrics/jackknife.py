"""The spread of the Fréchet distance, and its bias, from one set of features: the delete-one-block jackknife.

The N features are cut into B blocks; d_b is the distance without block b. Then (Quenouille 1956; Tukey 1958)

    variance = (B - 1) / B sum_b (d_b - mean d)^2,    bias = (B - 1) (mean d - d)

It is the spread over draws of generated images alone: the reference stays as it is. It errs upwards (by a factor of
root 2 at most, where the distance is quadratic in the deviations, close to the reference; Efron & Stein 1981).

A bootstrap would be wrong here. It draws with replacement, and a repeated feature adds no direction: 63 % of a sample's
features are different ones, so its covariance has the smaller rank, or the more uneven spectrum, of a smaller sample.
The Fréchet distance is biased upwards in small samples, and so it is around a centre that is off by another such bias.

Statistics without a block come from those of all features by taking the block's sums away, not from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from lcsc.metrics.frechet import (
    Float64Array,
    Reference,
    Statistics,
    check_dimension,
    frechet_distance,
    statistics_distance,
)

BLOCKS = 20


@dataclass(frozen=True)
class Jackknife:
    """``spread``: standard deviation of a distance of as many images; ``bias``: how much they raise it, to 1/N.

    The bias is itself known to about the spread only.
    """

    spread: float
    bias: float


def frechet_jackknife(features: ArrayLike, references: Sequence[Reference], blocks: int = BLOCKS) -> list[Jackknife]:
    """The jackknife of the distance between ``features`` [N, D] and each of ``references``; 2 <= blocks <= N.

    For N (1 - 1 / blocks) <= D, where the covariance is singular, distances are made from the features left.
    """
    values = np.asarray(features, dtype=np.float64)
    for reference in references:
        check_dimension(values, reference)
    fewest = len(values) - math.ceil(len(values) / max(blocks, 1))
    if not 2 <= blocks <= len(values) or fewest < 2:
        raise ValueError(f"found {blocks} blocks of {len(values)} features, expected 2 to N with 2 features left")
    if fewest > values.shape[1]:
        left_out = [
            [statistics_distance(rest, reference) for reference in references]
            for rest in statistics_without(values, blocks)
        ]
    else:
        rests = (np.delete(values, np.arange(*edges), axis=0) for edges in _edges(len(values), blocks))
        left_out = [[frechet_distance(rest, reference) for reference in references] for rest in rests]
    whole = [frechet_distance(values, reference) for reference in references]
    return [_jackknife(np.asarray(column), d) for column, d in zip(zip(*left_out, strict=True), whole, strict=True)]


def _jackknife(left_out: Float64Array, whole: float) -> Jackknife:
    blocks, middle = len(left_out), float(left_out.mean())
    variance = (blocks - 1) / blocks * float(np.square(left_out - middle).sum())
    return Jackknife(math.sqrt(variance), (blocks - 1) * (middle - whole))


def statistics_without(features: Float64Array, blocks: int) -> Iterator[Statistics]:
    """Statistics of ``features`` [N, D] without each of ``blocks`` blocks in turn; memory for a few D x D.

    Sums are taken about the mean of all features, so that subtracting them loses no digits.
    """
    mean = features.mean(axis=0)
    centred = features - mean
    scatter = centred.T @ centred
    for start, stop in _edges(len(features), blocks):
        block = centred[start:stop]
        left = len(features) - len(block)
        shift = -block.sum(axis=0) / left  # of the mean, when the block goes
        rest = scatter - block.T @ block - left * np.outer(shift, shift)
        yield Statistics(mean + shift, rest / (left - 1), left)


def _edges(count: int, blocks: int) -> list[tuple[int, int]]:
    """Start and stop of ``blocks`` consecutive blocks whose sizes differ by 1 at most."""
    edges = [count * block // blocks for block in range(blocks + 1)]
    return list(pairwise(edges))
