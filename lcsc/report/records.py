"""What a report shows, typed: the records of the other steps, as :mod:`lcsc.report.reading` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcsc.protocol import distance_name
from lcsc.report.measures import Measure
from lcsc.report.numbers import distance_decimals

REAL = "real images"  # the name of the row of real held-out images among samples; no method can have it
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Guard:
    """How images lie among held-out images by one extractor's features, beside their distance.

    ``kd`` is the kernel distance by part of the real images; ``jackknife`` the spread of the Fréchet distance by
    part, from one block of images (None where there are too few; empty for real images). ``inception_score`` is there
    for extractors that know classes.
    """

    kd: Mapping[str, Measure]
    precision: float
    recall: float
    density: float
    coverage: float
    jackknife: Mapping[str, float | None]
    inception_score: Measure | None = None


@dataclass(frozen=True)
class Copies:
    """Signs of copied training images: ``ratio`` to real images' distance, ``share`` nearer to a training image."""

    ratio: float | None
    share: float
    expected: float


@dataclass(frozen=True)
class Gain:
    """What a method gained on the best EMA in log distance, where it was searched and where it was not.

    ``kept`` = ``held_out`` / ``searched``, None where noise explains the searched gain.
    """

    searched: float
    held_out: float
    column: str
    kept: float | None


@dataclass(frozen=True)
class Guarding:
    """How the guards were made, and what real images reach: training images among held-out ones, by extractor."""

    neighbours: int
    images: int
    pieces: int
    kd_images: int
    kd_subsets: int
    real: Mapping[str, Guard]


@dataclass(frozen=True)
class Searched:
    """The extractor whose distance a method lowered; ``words`` say what it is."""

    name: str
    words: str
    measure: str = ""

    @property
    def distance(self) -> str:
        """What the distance is called."""
        return distance_name(self.words, self.measure)


@dataclass(frozen=True)
class Column:
    """A distance that is reported: which extractor, which real images, and what real images reach (floor).

    ``searched``: by the extractor that chose among finalists, which methods searched that had none of their own.
    """

    key: str
    extractor: str
    part: str
    searched: bool
    label: str
    floor: float
    measure: str = ""

    @property
    def distance(self) -> str:
        """What the distance is called."""
        return distance_name(self.extractor, self.measure)


@dataclass(frozen=True)
class Method:
    """A method of the final evaluation; ``coefficients`` is None where its weights are a file."""

    name: str
    label: str
    family: str
    coefficients: Rows | None
    columns: Mapping[str, Measure]
    neighbours: Mapping[str, float]
    copies: Copies
    guards: Mapping[str, Guard]
    gain: Gain | None
    searched: Searched | None = None
    """None where it is that which chose, or where the method lowered no distance."""


@dataclass(frozen=True)
class Hindsight:
    """The best EMA when it is chosen on the very noise it is reported on."""

    label: str
    measure: Measure


@dataclass(frozen=True)
class Evaluation:
    """The final evaluation of a run; ``steps`` are the training steps of the K checkpoints."""

    run: str
    version: str
    images: int
    blocks: int
    protocols: Mapping[str, str]
    protocol_words: tuple[str, ...]
    steps: tuple[int, ...]
    columns: tuple[Column, ...]
    methods: tuple[Method, ...]
    hindsight: Mapping[str, Hindsight]
    neighbours_of_real: Mapping[str, float]
    guards: Guarding

    def method(self, name: str) -> Method:
        """The method called ``name``."""
        return next(method for method in self.methods if method.name == name)

    @property
    def decimals(self) -> int:
        """Decimals of all its distances."""
        return distance_decimals(m.columns[c.key].mean for m in self.methods for c in self.columns)

    @property
    def searched_extractor(self) -> str:
        """The extractor that chose among finalists, and that searches without one of their own lowered."""
        return next((column.extractor for column in self.columns if column.searched), "")

    @property
    def choosing_distance(self) -> str:
        """What the distance by that extractor is called."""
        return next((column.distance for column in self.columns if column.searched), "")


@dataclass(frozen=True)
class Baseline:
    """A baseline and its distance on ``selection`` noise (None where it has none)."""

    name: str
    family: str
    label: str
    coefficients: Rows | None
    score: float | None


@dataclass(frozen=True)
class Baselines:
    """All baselines and the name that was chosen for each family."""

    images: int
    entries: tuple[Baseline, ...]
    chosen: Mapping[str, str]

    def best(self, name: str) -> Baseline | None:
        """The entry chosen as ``name``: last, single, uniform, ema or decayed."""
        wanted = self.chosen.get(name)
        return next((entry for entry in self.entries if entry.name == wanted), None)


@dataclass(frozen=True)
class Selection:
    """The candidate that a search ends with, after its finalists were scored on ``selection`` noise."""

    search: str
    method: str
    coefficients: Rows
    selection_score: float | None
    evaluations: int
    searched: Searched | None = None
    """None where it is that which chose."""
    groups: str | tuple[str, ...] = "all"
    """The kind of parameter groups that rows of the coefficients belong to, as :func:`lcsc.groups.make_groups`."""


@dataclass(frozen=True)
class Candidate:
    """The distance of a candidate on ``search`` noise (None where it has none) and where it came from.

    ``fresh``: its noise was drawn for it.
    """

    score: float | None
    origin: str
    fresh: bool = False


@dataclass(frozen=True)
class Generation:
    """One generation of a search."""

    search: str
    number: int
    candidates: tuple[Candidate, ...]
    stopped: bool


@dataclass(frozen=True)
class Samples:
    """Images uint8 [rows, n, C, H, W]: methods' from the same noise, and real held-out ones (:data:`REAL`)."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Timing:
    """What a step cost."""

    step: str
    seconds: float
    evaluations: int
    images: int
    peak_memory_mb: float | None
    device: str
    workers: int = 1
