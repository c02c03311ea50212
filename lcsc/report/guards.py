"""The guards as a table: gain kept, how images lie among real ones by each extractor, and signs of copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from lcsc.report.drawing import Data, Value
from lcsc.report.gain import is_flagged, kept_notes
from lcsc.report.measures import Measure
from lcsc.report.numbers import decimals_for
from lcsc.report.records import Evaluation, Guard, Method
from lcsc.report.searched import column_mark
from lcsc.report.tables import Cell, Heading, Row, Table

SHARES = ("precision", "recall", "density", "coverage")
GAIN, COPIES = "Gain", "Copies?"


def guards_table(evaluation: Evaluation, best: str = "") -> Table:
    """The table of all methods' guards, real images last; ``best`` is the row that the report is about."""
    extractors = _extractors(evaluation)
    headings = [Heading(GAIN, "kept", "gain/kept", decimals=2)]
    for name, words in extractors.items():
        group = f"{name} ({words})"
        headings.append(Heading(group, "KD", f"{name}/kd", decimals=_kernel_decimals(evaluation, name)))
        if _limits(evaluation, name):
            headings.append(Heading(group, "FD∞", f"{name}/limit", decimals=_limit_decimals(evaluation, name)))
        headings += [Heading(group, key, f"{name}/{key}", decimals=2) for key in SHARES]
        if _knows_classes(evaluation, name):
            headings.append(Heading(group, "IS", f"{name}/is", decimals=2))
    headings += [Heading(COPIES, key, f"copies/{key}", decimals=2) for key in ("ratio", "share")]
    shown = [(name, _limits(evaluation, name)) for name in extractors]
    rows = [_method_row(method, shown) for method in evaluation.methods]
    rows.append(_real_row(evaluation, shown))
    made = evaluation.guards
    caption = f"Guards: {made.pieces} × {made.images:,} images of the first report block against held-out images"
    return Table(caption, tuple(headings), tuple(rows), best, guard_notes(evaluation))


def _extractors(evaluation: Evaluation) -> dict[str, str]:
    """Whether it was searched, for each extractor in words; as in the result table, the searched one first."""
    columns = sorted(evaluation.columns, key=lambda column: (not column.searched, column.extractor))
    return {column.extractor: column_mark(column, evaluation, "no search used it") for column in columns}


def _limit_decimals(evaluation: Evaluation, extractor: str) -> int:
    """Decimals that show the spread of a typical extrapolated distance with one digit."""
    limits = [method.columns[f"{extractor}/held-out"].limit for method in evaluation.methods]
    return decimals_for([median(limit.spread for limit in limits if limit is not None)], 1)


def _limits(evaluation: Evaluation, extractor: str) -> bool:
    """Whether methods have a distance extrapolated to infinitely many images by ``extractor``."""
    return any(method.columns[f"{extractor}/held-out"].limit is not None for method in evaluation.methods)


def _knows_classes(evaluation: Evaluation, extractor: str) -> bool:
    """Whether there is an Inception score by ``extractor``."""
    return evaluation.guards.real[extractor].inception_score is not None


def _method_row(method: Method, extractors: Sequence[tuple[str, bool]]) -> Row:
    kept = method.gain.kept if method.gain is not None else None
    note = "less than half" if is_flagged(method) else ""
    copies = method.copies
    cells = [
        None if kept is None else Cell(kept, note=note),
        *_guard_cells(method.guards, extractors, method.columns),
        None if copies.ratio is None else Cell(copies.ratio),
        Cell(copies.share),
    ]
    return Row(method.name, method.label, "method", tuple(cells))


def _real_row(evaluation: Evaluation, extractors: Sequence[tuple[str, bool]]) -> Row:
    """Training images in the place of generated ones; of all real images ``expected`` are training images."""
    cells = [None, *_guard_cells(evaluation.guards.real, extractors, {}), Cell(1.0)]
    expected = evaluation.methods[0].copies.expected
    return Row("floor", "Real against real images", "floor", (*cells, Cell(expected)))


def _guard_cells(
    guards: Mapping[str, Guard], extractors: Sequence[tuple[str, bool]], columns: Mapping[str, Measure]
) -> list[Cell | None]:
    cells: list[Cell | None] = []
    for name, has_limit in extractors:
        kernel = guards[name].kd["held-out"]
        cells.append(Cell(kernel.mean, kernel.spread))
        if has_limit:
            limit = columns[f"{name}/held-out"].limit if columns else None
            cells.append(None if limit is None else Cell(limit.mean, limit.spread))
        cells += [Cell(value) for value in _shares(guards[name])]
        if (score := guards[name].inception_score) is not None:
            cells.append(Cell(score.mean, score.spread))
    return cells


def _kernel_decimals(evaluation: Evaluation, extractor: str) -> int:
    """Decimals that show the spread of a typical kernel distance with two digits, and no more."""
    return decimals_for([median(method.guards[extractor].kd["held-out"].spread for method in evaluation.methods)], 2)


def _shares(guard: Guard) -> tuple[float, ...]:
    return guard.precision, guard.recall, guard.density, guard.coverage


def guard_notes(evaluation: Evaluation) -> tuple[str, ...]:
    """What the guards mean, in a line each, after what searches keep of their gain."""
    made = evaluation.guards
    return (
        *kept_notes(evaluation),
        "Gain kept: gain on the best EMA in log distance, held-out images and an extractor that no search used, over "
        "the gain by the extractor that the method itself searched and training images; both on report noise.",
        f"KD: kernel distance of features (unbiased, cubic kernel), mean over {made.kd_subsets} subsets of "
        f"{made.kd_images:,} images ± their standard deviation; smaller is better, about 0 at "
        "best; unlike FD, it assumes no Gaussian features.",
        *_limit_notes(evaluation),
        *_score_notes(evaluation),
        f"Precision: share of images within reach of a real one (as far as its neighbour number {made.neighbours}). "
        "Recall: share of real images within reach of a generated one. Density: real images that reach a generated "
        f"one, over {made.neighbours}; about 1 at best. Coverage: share of real images that reach a generated one. A "
        "lower distance with lower precision is variety bought with quality; with lower recall, the reverse.",
        "Copies: ratio, mean distance in pixels to the nearest training image over that of real held-out images; "
        "share of images that are nearer to a training image than to any held-out one, beside what chance gives "
        "(last row). A ratio below 1 with a share above chance would mean copies.",
    )


def _limit_notes(evaluation: Evaluation) -> tuple[str, ...]:
    limits = [measure.limit for method in evaluation.methods for measure in method.columns.values() if measure.limit]
    if not limits:
        return ()
    return (
        f"FD∞: FD extrapolated from {limits[0].images:,} and {evaluation.images:,} to infinitely many images, "
        "mean over blocks ± standard deviation of one block; FD falls with the number of images, more for one method "
        "than for another. What few real images add is still in it.",
    )


def _score_notes(evaluation: Evaluation) -> tuple[str, ...]:
    if not any(_knows_classes(evaluation, name) for name in evaluation.guards.real):
        return ()
    return (
        "IS: Inception score of the first report block, mean over pieces ± their standard deviation; larger is better. "
        "It looks at no real image, so it chooses nothing.",
    )


def guards_data(evaluation: Evaluation) -> Data:
    """All guards, unrounded, a row for each number; ``jackknife`` is the spread of FD from one block."""
    rows: list[tuple[Value, ...]] = []
    for method in evaluation.methods:
        rows += [(method.name, method.label, *row) for row in _gain_rows(method)]
        for name, guard in method.guards.items():
            rows += [(method.name, method.label, *row) for row in _guard_rows(name, guard)]
        rows += [(method.name, method.label, *row) for row in _limit_rows(method)]
    for name, guard in evaluation.guards.real.items():
        rows += [("floor", "Real against real images", *row) for row in _guard_rows(name, guard)]
    return Data(("name", "label", "extractor", "guard", "part", "value", "spread"), tuple(rows))


def _gain_rows(method: Method) -> list[tuple[Value, ...]]:
    copies, gain = method.copies, method.gain
    rows: list[tuple[Value, ...]] = [
        ("", "nearest training image, ratio", "train", copies.ratio, None),
        ("", "nearest training image, share", "train", copies.share, None),
        ("", "nearest training image, share by chance", "train", copies.expected, None),
    ]
    if gain is not None:
        rows += [("", "gain searched", "train", gain.searched, None), ("", "gain", "held-out", gain.held_out, None)]
        rows.append(("", "gain kept", "held-out", gain.kept, None))
    return rows


def _limit_rows(method: Method) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = []
    for key, measure in method.columns.items():
        extractor, _, part = key.rpartition("/")
        if measure.limit is not None:
            rows.append((extractor, f"FD of {measure.limit.images} images", part, measure.limit.half, None))
            rows.append((extractor, "FD extrapolated", part, measure.limit.mean, measure.limit.spread))
    return rows


def _guard_rows(name: str, guard: Guard) -> list[tuple[Value, ...]]:
    rows: list[tuple[Value, ...]] = [
        (name, "kd", part, measure.mean, measure.spread) for part, measure in guard.kd.items()
    ]
    rows += [(name, key, "held-out", value, None) for key, value in zip(SHARES, _shares(guard), strict=True)]
    if guard.inception_score is not None:
        rows.append((name, "inception score", "", guard.inception_score.mean, guard.inception_score.spread))
    return rows + [(name, "jackknife", part, None, spread) for part, spread in guard.jackknife.items()]
