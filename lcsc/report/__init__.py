"""The report of a run: figures, tables and one page, made from the records of the other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lcsc.errors import InputError
from lcsc.files import write_bytes, write_text
from lcsc.progress import logger

if TYPE_CHECKING:
    from lcsc.report.drawing import Data, Drawing
    from lcsc.report.page import Places
    from lcsc.report.records import Baselines, Evaluation, Generation, Selection, Timing
    from lcsc.report.tables import Table

__all__ = ["ReportInputs", "make_report"]


@dataclass(frozen=True)
class ReportInputs:
    """The files a report is made from, as the other steps wrote them.

    ``bank``, ``merged`` and ``recipe`` are only named in the page; where they are empty, the places in which
    the workflow puts them stand there.
    """

    evaluation: Path
    baselines: Path
    selections: Sequence[Path]
    generations: Sequence[Path]
    samples: Path
    timings: Sequence[Path] = field(default_factory=tuple)
    bank: str = ""
    merged: str = ""
    recipe: str = ""


def make_report(inputs: ReportInputs, output: Path, figures: Path) -> str:
    """Write the page to ``output`` and figures, tables and their numbers to the folder ``figures``.

    Returns the result table as text for a terminal. All inputs are read before anything is written.

    Raises :class:`InputError` where a record is missing, is of another kind or belongs to another run.
    """
    from lcsc.report.guards import guards_data, guards_table
    from lcsc.report.headline import best_search, headline
    from lcsc.report.page import html_page
    from lcsc.report.reading import read_baselines, read_evaluation, read_generations, read_selection, read_timing
    from lcsc.report.tables import result_table, table_data
    from lcsc.report.tuned import tuned_words

    evaluation = read_evaluation(inputs.evaluation)
    checkpoints = len(evaluation.steps)
    selections = [read_selection(path, checkpoints) for path in inputs.selections]
    generations = read_generations(inputs.generations, checkpoints)
    _check_searches(inputs, evaluation, selections, generations)
    baselines, timings = read_baselines(inputs.baselines), [read_timing(path) for path in inputs.timings]
    drawings = _draw_all(inputs, evaluation, baselines, selections, generations, timings)
    best = best_search(selections)
    table, guards = result_table(evaluation, best), guards_table(evaluation, best)
    chosen = next(selection for selection in selections if selection.search == best)
    words = headline(evaluation, selections, tuned_words(evaluation, baselines, chosen, timings))
    if words.no_gain:
        logger.warning("%s", words.no_gain)
        table = replace(table, notes=(words.no_gain, *table.notes))
    page = html_page(evaluation, words, table, guards, drawings, _places(inputs, evaluation))
    _write_figures(figures, drawings)
    text = _write_table(figures, "table", table, table_data(table))
    _write_table(figures, "guards", guards, guards_data(evaluation))
    write_text(output, page)
    return text


def _check_searches(
    inputs: ReportInputs,
    evaluation: Evaluation,
    selections: Sequence[Selection],
    generations: Mapping[str, Sequence[Generation]],
) -> None:
    names = [method.name for method in evaluation.methods]
    if not selections:
        raise InputError(f"{inputs.evaluation}: found no selection beside it, expected one for each search")
    chosen = [selection.search for selection in selections]
    for path, search in zip(inputs.selections, chosen, strict=True):
        if search not in names or chosen.count(search) > 1:
            raise InputError(
                f"{path}: search: found {search!r}, expected one of {names} once; give the files of one run"
            )
    for search in generations:
        if search not in chosen:
            raise InputError(
                f"{inputs.generations[0]}: search: found generations of {search!r}, expected of {chosen}; "
                "give the files of one run"
            )


def _draw_all(
    inputs: ReportInputs,
    evaluation: Evaluation,
    baselines: Baselines,
    selections: Sequence[Selection],
    generations: Mapping[str, Sequence[Generation]],
    timings: Sequence[Timing],
) -> dict[str, Drawing]:
    from lcsc.report.figures import coefficients, convergence, cost, images, result
    from lcsc.report.headline import main_column
    from lcsc.report.reading_samples import read_samples
    from lcsc.report.style import looks, styled

    names = [method.name for method in evaluation.methods]
    samples = read_samples(inputs.samples, names)
    look = looks([*names, "last", "ema", "decayed"])
    with styled():
        drawings = [
            result.draw(evaluation, look),
            convergence.draw(evaluation, baselines, selections, generations, look),
            coefficients.draw(evaluation, baselines, selections, look),
            images.draw(evaluation, samples, main_column(evaluation), look),
            cost.draw(timings, look),
        ]
    return {drawing.name: drawing for drawing in drawings}


def _places(inputs: ReportInputs, evaluation: Evaluation) -> Places:
    from lcsc.report.page import Places

    run = f"results/{evaluation.run}"
    return Places(
        bank=inputs.bank or f"{run}/bank/index.json",
        merged=inputs.merged or f"{run}/export/merged.safetensors",
        recipe=inputs.recipe or f"{run}/export/recipe.json",
    )


def _write_figures(folder: Path, drawings: Mapping[str, Drawing]) -> None:
    for drawing in drawings.values():
        if drawing.svg:
            write_text(folder / f"{drawing.name}.svg", drawing.svg)
        if drawing.png:
            write_bytes(folder / f"{drawing.name}.png", drawing.png)
        if drawing.data:
            write_text(folder / f"{drawing.name}.csv", drawing.data.csv())


def _write_table(folder: Path, name: str, table: Table, data: Data) -> str:
    from lcsc.report.table_formats import html_table, text_table

    text = text_table(table)
    write_text(folder / f"{name}.txt", text)
    write_text(folder / f"{name}.html", html_table(table))
    write_text(folder / f"{name}.csv", data.csv())
    return text
