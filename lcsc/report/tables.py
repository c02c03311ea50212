"""The result table as rows and columns of numbers; :mod:`lcsc.report.table_formats` shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lcsc.report.drawing import Data
from lcsc.report.gain import kept_notes
from lcsc.report.headline import BASE, HELD_OUT, compare_to_base
from lcsc.report.measures import Measure
from lcsc.report.records import Column, Evaluation, Method
from lcsc.report.searched import ALL, mark, own_notes

PARTS = {"held-out": "held-out images", "train": "training images"}
NEIGHBOURS = "Distance to nearest"
FOOTNOTES = (
    "FD: Fréchet distance of features, smaller is better; mean over blocks of noise that nothing else used "
    "± standard deviation of one block: the larger of that over blocks and the jackknife’s of the first block (of an "
    "EMA that has no row of its own: over blocks). The mean varies less.",
    "×: ratio to the best EMA, which was chosen on other noise; in hindsight: chosen on the reported noise.",
    "Real against real images: held-out against training images, of which few are there, which raises it: a "
    "generator may go below it. Against training images it says nothing, so no number stands there.",
    "Distance to nearest: mean distance of generated images to their nearest real one; much less than real "
    "held-out images have to training images would mean copying.",
)


@dataclass(frozen=True)
class Heading:
    """A column: its ``group`` stands above several of them; ``decimals`` are those that its values need, if None."""

    group: str
    label: str
    key: str
    searched: bool | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Cell:
    """A value with its spread and its ratio to the best EMA, where it has them."""

    mean: float
    spread: float | None = None
    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A method (kind ``method``), the best EMA in hindsight (``hindsight``) or real images (``floor``)."""

    name: str
    label: str
    kind: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Table:
    """A table with a row for each method; ``best`` is the row that the report is about, ``notes`` stand below.

    ``mark`` is what searched columns are marked with (see :mod:`lcsc.report.searched`).
    """

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    best: str = ""
    notes: tuple[str, ...] = ()
    mark: str = ALL


def result_table(evaluation: Evaluation, best: str = "") -> Table:
    """The table of all methods, with the best EMA in hindsight, if it was measured, and what real images reach."""
    columns = sorted(evaluation.columns, key=lambda c: (c.part != "held-out", not c.searched, c.extractor))
    parts = sorted({part for m in evaluation.methods for part in m.neighbours}, key=lambda p: p != "train")
    headings = [
        Heading(f"Against {PARTS.get(c.part, c.part)}", c.distance, c.key, c.searched, evaluation.decimals)
        for c in columns
    ]
    headings += [Heading(NEIGHBOURS, PARTS.get(part, part).removesuffix("s"), f"nearest/{part}") for part in parts]
    rows = [_method_row(method, evaluation, columns, parts) for method in evaluation.methods]
    place = next(i for i, method in enumerate(evaluation.methods) if method.name == BASE) + 1
    if all(column.key in evaluation.hindsight for column in columns):
        rows.insert(place, _hindsight_row(evaluation, columns, parts))
    rows.append(_floor_row(evaluation, columns, parts))
    caption = f"Run {evaluation.run}: {evaluation.blocks} blocks of {evaluation.images:,} images for each method"
    notes = (*kept_notes(evaluation, flagged_only=True), *own_notes(evaluation), *FOOTNOTES)
    return Table(caption, tuple(headings), tuple(rows), best, notes, mark(evaluation))


def _method_row(method: Method, evaluation: Evaluation, columns: Sequence[Column], parts: Sequence[str]) -> Row:
    cells: list[Cell | None] = [
        _measured(method.columns[c.key], compare_to_base(method, evaluation, c)) for c in columns
    ]
    cells += [Cell(method.neighbours[part]) if part in method.neighbours else None for part in parts]
    return Row(method.name, method.label, "method", tuple(cells))


def _measured(measure: Measure, to_base: float, note: str = "") -> Cell:
    return Cell(measure.mean, measure.spread, None if math.isnan(to_base) else to_base, note)


def _hindsight_row(evaluation: Evaluation, columns: Sequence[Column], parts: Sequence[str]) -> Row:
    base = evaluation.method(BASE)
    cells: list[Cell | None] = []
    for column in columns:
        best = evaluation.hindsight[column.key]
        to_base = base.columns[column.key].mean
        cells.append(_measured(best.measure, best.measure.mean / to_base if to_base else math.nan, best.label))
    return Row("hindsight", "Best EMA in hindsight", "hindsight", (*cells, *(None for _ in parts)))


def _floor_row(evaluation: Evaluation, columns: Sequence[Column], parts: Sequence[str]) -> Row:
    cells: list[Cell | None] = [Cell(c.floor) if c.part == HELD_OUT else None for c in columns]
    real = evaluation.neighbours_of_real.get("held-out to train")
    cells += [Cell(real) if part == "train" and real is not None else None for part in parts]
    return Row("floor", "Real against real images", "floor", tuple(cells))


def table_data(table: Table) -> Data:
    """The table's numbers, unrounded, one row for each cell."""
    rows = [
        (row.name, row.label, row.kind, heading.key, cell.mean, cell.spread, cell.ratio, cell.note)
        for row in table.rows
        for heading, cell in zip(table.headings, row.cells, strict=True)
        if cell is not None
    ]
    return Data(("name", "label", "kind", "column", "mean", "spread", "ratio_to_best_ema", "note"), tuple(rows))
