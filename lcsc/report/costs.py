"""What each method reached and what it cost, over several runs, as plain text and as numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from lcsc.report.courses import Spent, TracedRun
from lcsc.report.drawing import Data, Value
from lcsc.report.headline import BASE, compare_to_base
from lcsc.report.numbers import fixed
from lcsc.report.records import Column, Method

GAP = 3
WORK: Sequence[tuple[str, Callable[[Spent], float]]] = (
    ("evaluations", lambda spent: spent.evaluations),
    ("gradients", lambda spent: spent.gradients),
    ("equivalents", lambda spent: spent.equivalents),
    ("seconds", lambda spent: spent.seconds),
)
NOTES = (
    "Ratios to the run's best EMA, on held-out images and report noise: medians, and the range over runs.",
    "Work: that of the whole search on search noise; of a fine-tuning, that of the learning rate that was chosen.",
    "Equivalents: evaluations of the run's usual images, where a gradient counts as those made in its time.",
    "Seconds: those of scoring, from the journals, as if all workers had shared scores by value evenly.",
    "Gain kept: held-out gain over searched gain, in log distance.",
)


def costs_data(runs: Sequence[TracedRun]) -> Data:
    """The table's numbers: a row for each method that all runs have."""
    header = ["method", "label"]
    for column in runs[0].columns:
        header += [f"{column.key} median", f"{column.key} smallest", f"{column.key} largest"]
    rows = tuple(_row(runs, name) for name in _names(runs))
    return Data((*header, *(name for name, _ in WORK), "gain_kept"), rows)


def _names(runs: Sequence[TracedRun]) -> list[str]:
    return [
        method.name
        for method in runs[0].evaluation.methods
        if all(any(other.name == method.name for other in run.evaluation.methods) for run in runs)
    ]


def _row(runs: Sequence[TracedRun], name: str) -> tuple[Value, ...]:
    methods = [run.evaluation.method(name) for run in runs]
    row: list[Value] = [name, _label(methods)]
    for column in runs[0].columns:
        found = _ratios(runs, name, column)
        row += [median(found), min(found), max(found)]
    traces = [trace for run in runs if (trace := run.shown(name)) is not None]
    ends = [trace.points[-1].spent for trace in traces]
    row += [median(work(spent) for spent in ends) if ends else None for _, work in WORK]
    kept = [method.gain.kept for method in methods if method.gain is not None and method.gain.kept is not None]
    return (*row, median(kept) if kept else None)


def _ratios(runs: Sequence[TracedRun], name: str, column: Column) -> list[float]:
    return [compare_to_base(run.evaluation.method(name), run.evaluation, column) for run in runs]


def _label(methods: Sequence[Method]) -> str:
    labels = {method.label for method in methods}
    return labels.pop() if len(labels) == 1 else methods[0].label.split(" (")[0]


def costs_text(runs: Sequence[TracedRun]) -> str:
    """The table as plain text with aligned columns."""
    data, columns = costs_data(runs), runs[0].columns
    lines = [["", *(word for column in columns for word in (column.distance, "range"))]]
    lines[0] += [*(name for name, _ in WORK), "gain kept"]
    for row in data.rows:
        cells = [str(row[1]) if row[0] != BASE else "Best EMA"]
        for place in range(len(columns)):
            middle, low, high = row[2 + 3 * place : 5 + 3 * place]
            cells += [_text(middle, 3), f"{_text(low, 3)}–{_text(high, 3)}"]
        work = row[2 + 3 * len(columns) : -1]
        cells += [_text(value, 1 if name == "seconds" else 0) for (name, _), value in zip(WORK, work, strict=True)]
        lines.append([*cells, _text(row[-1], 2)])
    text = [f"Held-out images, {len(runs)} run{'s' if len(runs) > 1 else ''}", "", *_aligned(lines), "", *NOTES]
    return "\n".join(line.rstrip() for line in text) + "\n"


def _text(value: Value, decimals: int) -> str:
    return fixed(float(value), decimals) if value is not None else "–"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        (" " * GAP).join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
