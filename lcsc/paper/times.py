"""What each figure's runs took, from what Snakemake measured of their jobs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcsc.config.figures import runs_of
from lcsc.errors import InputError
from lcsc.progress import logger
from lcsc.report.drawing import Data
from lcsc.report.numbers import duration

SHARED = "shared"  # the folder of what all runs share
PARTS: Mapping[str, tuple[str, ...]] = {  # by the beginnings of the jobs' names
    "training": ("train-", "data-", "extractor-"),
    "search": ("search-", "select-"),
    "baselines and evaluation": ("baselines", "tune-", "evaluate", "reference-"),
    "other": ("collect", "landscape-", "trace-", "export", "report"),
}


@dataclass
class Times:
    """Seconds of jobs by part; jobs run side by side where there are cores. ``unknown`` runs have no times."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    unknown: int = 0

    def add(self, folder: Path) -> None:
        """Add the jobs measured in ``folder``; a warning says where there are none."""
        paths = sorted(folder.glob("*.tsv"))
        if not paths:
            self.unknown += 1
            logger.warning(
                "%s: found no times of jobs, which the workflow measures; the page's table lacks them", folder
            )
        for path in paths:
            part = next((part for part, names in PARTS.items() if path.name.startswith(names)), "other")
            self.seconds[part] += seconds_of(path)


def seconds_of(path: Path) -> float:
    """The seconds of a job's last try, as Snakemake's benchmark file gives them."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    try:
        return float(rows[-1]["s"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: found no seconds, expected a benchmark of Snakemake; remove it") from error


def times_of(
    figures: Mapping[str, Mapping[str, Any]], about: Mapping[str, Mapping[str, Any]], benchmarks: Path
) -> Iterator[tuple[str, int, Times]]:
    """What is shared, and each of ``figures`` with the number of runs that no figure before it shows, and their times.

    ``about`` says whose training a run combines, as :class:`lcsc.paper.records.Records` knows it.
    """
    known: set[str] = set()
    shared = Times()
    shared.add(benchmarks / SHARED)
    yield "images, extractors and statistics", 0, shared
    for name, figure in figures.items():
        runs = runs_of(figure, figures)
        owners = [about[run]["training"] for run in runs if about[run]["training"] is not None]
        new = [run for run in dict.fromkeys([*runs, *owners]) if run not in known]
        known.update(new)
        times = Times()
        for run in new:
            times.add(benchmarks / run)
        yield name, len(new), times


def times_data(found: Iterator[tuple[str, int, Times]]) -> Data:
    """A row for each figure, and one for all, as a reader wants it."""
    total, rows = Times(), []
    for name, new, times in found:
        rows.append(_row(name, f"{new}" if new else "–", times))
        total.unknown += times.unknown
        for part, seconds in times.seconds.items():
            total.seconds[part] += seconds
    rows.append(_row("together", "", total))
    return Data(("what", "new runs", *PARTS, "together"), tuple(rows))


def _row(name: str, new: str, times: Times) -> tuple[str, ...]:
    values = [*times.seconds.values(), sum(times.seconds.values())]
    new += f" ({times.unknown} without times)" if times.unknown else ""
    return name, new.strip(), *(duration(value) if value else "–" for value in values)
