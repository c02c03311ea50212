"""How alike methods of one run are: their coefficients, their weights and their images; 1 for the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcsc import weights
from lcsc.bank import Bank
from lcsc.paper.coefficient_shapes import cosine, from_uniform
from lcsc.paper.records import RunRecords

What = Literal["coefficients", "weights", "images"]
WHATS: tuple[What, ...] = ("coefficients", "weights", "images")
Vectors = NDArray[Any]
Alike = Mapping[tuple[str, str], float | None]  # by two methods; None where nothing can be said


def of_coefficients(run: RunRecords, methods: Sequence[str]) -> Alike:
    """Cosines of the coefficients' differences from the uniform average; means over rows where there are several."""
    rows = {method: run.evaluation.method(method).coefficients for method in methods}
    known = {method: from_uniform(found) for method, found in rows.items() if found is not None}
    return _pairs(methods, known, cosine)


def of_weights(run: RunRecords, methods: Sequence[str]) -> Alike:
    """Cosines of the weights' differences from the mean of the checkpoints."""
    bank = Bank.open(run.folder / "bank" / "index.json")
    centre = weights.load(weights.of_coefficients(np.full((1, bank.K), 1 / bank.K)), bank)
    known = {method: weights.load(run.weights(method), bank) - centre for method in methods}
    return _pairs(methods, known, cosine)


def of_images(run: RunRecords, methods: Sequence[str]) -> Alike:
    """1 − E|x − y|² / E|x − y′|² of images of the same noise (x, y) and of any noise (x, y′): 0 for unrelated ones."""
    places = {name: place for place, name in enumerate(run.samples.names)}
    images = {m: run.samples.images[places[m]].astype(np.float64) for m in methods if m in places}
    return _pairs(methods, {name: each.reshape(len(each), -1) for name, each in images.items()}, related)


def related(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """What :func:`of_images` says of images [n, values]; None where all are one and the same image."""
    same = float(((first - second) ** 2).sum(axis=1).mean())
    crossed = float((first**2).sum(axis=1).mean() + (second**2).sum(axis=1).mean())
    any_noise = crossed - 2 * float(first.mean(axis=0) @ second.mean(axis=0))
    return 1 - same / any_noise if any_noise > 0 else None


def _pairs(
    methods: Sequence[str], known: Mapping[str, Vectors], alike: Callable[[Vectors, Vectors], float | None]
) -> Alike:
    return {
        (one, other): alike(known[one], known[other]) if one in known and other in known else None
        for one in methods
        for other in methods
    }


MEASURES: Mapping[What, Callable[[RunRecords, Sequence[str]], Alike]] = {
    "coefficients": of_coefficients,
    "weights": of_weights,
    "images": of_images,
}
