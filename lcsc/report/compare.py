"""Several runs side by side: the median and range of each method's ratio to the best EMA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lcsc.errors import InputError
from lcsc.report.headline import BASE, HELD_OUT, compare_to_base
from lcsc.report.numbers import fixed
from lcsc.report.reading import read_evaluation
from lcsc.report.records import Column, Evaluation
from lcsc.report.searched import ALL, mark, no_evidence

RECORD = "evaluation.json"
GAP = 3


@dataclass(frozen=True)
class Ratio:
    """A method's distance over the best EMA's in one column: one value for each run, in the order of runs."""

    method: str
    label: str
    column: str
    values: tuple[float, ...]
    median: float
    smallest: float
    largest: float


@dataclass(frozen=True)
class Comparison:
    """Runs (name and file of each), the columns they share and the ratios of their methods.

    ``same_protocol`` tells whether every column was measured the same way in all runs; ``marks`` what the extractor
    of searched columns did in each (see :mod:`lcsc.report.searched`).
    """

    runs: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    ratios: tuple[Ratio, ...]
    same_protocol: bool
    marks: tuple[str, ...] = (ALL,)

    @property
    def record(self) -> dict[str, Any]:
        """The comparison as JSON can hold it, for :func:`lcsc.files.write_json` of kind ``comparison``."""
        return {
            "base": BASE,
            "runs": [{"run": run, "file": file} for run, file in self.runs],
            "columns": [{"key": c.key, "label": c.label, "searched": c.searched} for c in self.columns],
            "ratios": [{**asdict(ratio), "values": list(ratio.values)} for ratio in self.ratios],
            "same_protocol": self.same_protocol,
        }

    @property
    def text(self) -> str:
        """The comparison as plain text: a block for each column, a line for each method, runs by number."""
        lines = [f"Ratio to the best EMA over {len(self.runs)} runs"]
        for column in sorted(self.columns, key=lambda c: (c.part != HELD_OUT, c.searched)):
            lines += ["", *_aligned(self._block(column))]
        lines += ["", *(f"#{number} {run}: {file}" for number, (run, file) in enumerate(self.runs, 1))]
        if any(column.searched for column in self.columns):
            lines += ["", f"* {no_evidence(self.marks)}"]
        if not self.same_protocol:
            lines += ["", "The runs were measured by different protocols: compare with care."]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _block(self, column: Column) -> list[list[str]]:
        numbers = [f"#{number}" for number in range(1, len(self.runs) + 1)]
        rows = [[f"{column.label}{' *' if column.searched else ''}", "median", "range", *numbers]]
        for ratio in self.ratios:
            if ratio.column == column.key:
                limits = f"{fixed(ratio.smallest, 3)}–{fixed(ratio.largest, 3)}"
                values = (fixed(value, 3) for value in ratio.values)
                rows.append([f"  {ratio.label}", fixed(ratio.median, 3), limits, *values])
        return rows


def compare(evaluations: Sequence[Path | str]) -> Comparison:
    """Compare runs by their evaluation records; a folder stands for the ``evaluation.json`` in it.

    Raises :class:`InputError` where a record is missing or is given twice, where there is none, or where the
    runs do not have the same methods and columns.
    """
    paths = [_record_path(Path(path)) for path in evaluations]
    if not paths:
        raise InputError("compare: found no evaluation, expected at least one evaluation.json or run folder")
    runs = [read_evaluation(path) for path in paths]
    first = runs[0]
    for place, (path, run) in enumerate(zip(paths, runs, strict=True)):
        if path.resolve() in {former.resolve() for former in paths[:place]}:
            raise InputError(f"{path}: given twice, expected each run once")
        _check_same(path, "columns", [c.key for c in run.columns], [c.key for c in first.columns])
        _check_same(path, "methods", [m.name for m in run.methods], [m.name for m in first.methods])
    names = [method.name for method in first.methods if method.name != BASE]
    return Comparison(
        runs=tuple((run.run, str(path)) for path, run in zip(paths, runs, strict=True)),
        columns=first.columns,
        ratios=tuple(_ratio(name, column, runs) for name in names for column in first.columns),
        same_protocol=all(run.protocols == first.protocols for run in runs),
        marks=tuple(mark(run) for run in runs),
    )


def _record_path(path: Path) -> Path:
    return path / RECORD if path.is_dir() else path


def _check_same(path: Path, key: str, found: list[str], expected: list[str]) -> None:
    if found != expected:
        raise InputError(
            f"{path}: {key}: found {found}, expected {expected} as in the first run; compare runs of one kind"
        )


def _ratio(name: str, column: Column, runs: Sequence[Evaluation]) -> Ratio:
    values = tuple(compare_to_base(run.method(name), run, column) for run in runs)
    return Ratio(
        name,
        _shared_label([run.method(name).label for run in runs]),
        column.key,
        values,
        median(values),
        min(values),
        max(values),
    )


def _shared_label(labels: Sequence[str]) -> str:
    """The label of all runs, without what was chosen (in brackets) where that differs."""
    return labels[0] if len(set(labels)) == 1 else labels[0].split(" (")[0]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(" " * GAP + f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
