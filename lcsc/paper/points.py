"""Distances of methods over what runs differ in (training steps, NFE, checkpoints…), for several training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Literal

from lcsc.errors import InputError
from lcsc.paper.records import Records
from lcsc.progress import logger
from lcsc.report.headline import HELD_OUT
from lcsc.report.records import Column, Evaluation

Role = Literal["searched", "unseen"]
ROLES: tuple[Role, ...] = ("searched", "unseen")
X = float | str


@dataclass(frozen=True)
class Point:
    """The evaluations of the runs at one ``x``: one run for each training seed, in the same order at every point."""

    x: X
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True)
class Series:
    """A method's distances to held-out images by one extractor: ``values`` [points, seeds], rising in ``xs``."""

    method: str
    label: str
    xs: tuple[X, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def medians(self) -> tuple[float, ...]:
        """Over the seeds, at each x."""
        return tuple(median(row) for row in self.values)

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """Smallest and largest over the seeds, at each x."""
        return tuple((min(row), max(row)) for row in self.values)

    def at(self, x: X | None) -> tuple[float, ...]:
        """The value of each seed at ``x``, None for the only place there is.

        Raises :class:`InputError` where the method was not measured there.
        """
        if x is None and len(self.xs) == 1:
            return self.values[0]
        if x is None or x not in self.xs:
            raise InputError(f"claims: {self.method!r} at {x}: found no such point, expected one of {list(self.xs)}")
        return self.values[self.xs.index(x)]


def read_points(points: Sequence[Mapping[str, Any]], records: Records) -> list[Point]:
    """The points of a figure's section of the configuration."""
    return [Point(point["x"], records.evaluations(point["runs"])) for point in points]


def series_of(
    points: Sequence[Point], methods: Sequence[str], labels: Mapping[str, str] | None = None
) -> dict[tuple[str, Role], Series]:
    """The lines of a figure, by method and extractor; methods that nothing measured are left out, with a warning.

    ``labels`` are the figure's own words for some methods.
    """
    found = {(method, role): make_series(points, method, role) for role in ROLES for method in methods}
    known = {key: one for key, one in found.items() if one is not None}
    for method in methods:
        if all((method, role) not in known for role in ROLES):
            logger.warning("figures: no point has %r in all its runs; the figure is drawn without it", method)
    return {key: replace(one, label=(labels or {}).get(one.method, one.label)) for key, one in known.items()}


def column_of(evaluation: Evaluation, role: Role) -> Column:
    """The held-out column of the extractor that was searched, or of the one that nothing saw."""
    found = [c for c in evaluation.columns if c.part == HELD_OUT and c.searched == (role == "searched")]
    if not found:
        raise InputError(f"run {evaluation.run!r}: found no column of a {role} extractor on held-out images")
    return found[0]


def require_methods(evaluations: Sequence[Evaluation], methods: Sequence[str]) -> None:
    """Refuse runs whose final evaluation lacks one of ``methods``."""
    for evaluation in evaluations:
        known = [method.name for method in evaluation.methods]
        missing = [method for method in methods if method not in known]
        if missing:
            raise InputError(
                f"figures: run {evaluation.run!r}: lacks {missing[0]!r}, expected one of {', '.join(known)}"
            )


def make_series(points: Sequence[Point], method: str, role: Role) -> Series | None:
    """The course of ``method``: the points at which all runs have it; None where there is none.

    Raises :class:`InputError` for points with different numbers of runs, or measured by different extractors, whose
    distances do not compare.
    """
    require_alike(points, role)
    xs, rows, labels = [], [], []
    for point in points:
        found = [m for e in point.evaluations for m in e.methods if m.name == method]
        if len(found) == len(point.evaluations):
            keys = [column_of(e, role).key for e in point.evaluations]
            xs.append(point.x)
            rows.append(tuple(m.columns[key].mean for m, key in zip(found, keys, strict=True)))
            labels += [m.label for m in found]
        elif found and role == ROLES[0]:  # once for both extractors
            logger.warning(
                "figures: %d of %d runs at %s have %r; that point is left out of its line, make the other runs with it",
                len(found), len(point.evaluations), point.x, method,
            )  # fmt: skip
    return Series(method, _common(labels), tuple(xs), tuple(rows)) if xs else None


def require_alike(points: Sequence[Point], role: Role) -> None:
    """Refuse points whose numbers cannot stand in one figure."""
    sizes = {len(point.evaluations) for point in points}
    if len(sizes) != 1:
        raise InputError(f"figures: found points of {sorted(sizes)} runs, expected as many seeds at every point")
    keys = {(column_of(e, role).key, e.images) for point in points for e in point.evaluations}
    if len(keys) != 1:
        found = ", ".join(f"{key} of {images:,} images" for key, images in sorted(keys))
        raise InputError(f"figures: found {found}; expected one extractor and one number of images in a figure")


def _common(labels: Sequence[str]) -> str:
    """The label of a method whose details differ from run to run: without them."""
    return labels[0] if len(set(labels)) == 1 else labels[0].split(" (")[0]


def rows_of(series: Mapping[tuple[str, Role], Series]) -> list[tuple[str | float, ...]]:
    """The numbers behind a figure: method, extractor's role, x, seed's place, distance."""
    return [
        (method, role, x, seed, value)
        for (method, role), one in series.items()
        for x, row in zip(one.xs, one.values, strict=True)
        for seed, value in enumerate(row)
    ]
