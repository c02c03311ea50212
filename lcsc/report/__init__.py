"""The report of a run: figures, tables and one page, made from the records of the other steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.errors import InputError
from lcsc.files import read_json, write_bytes, write_text
from lcsc.progress import logger

if TYPE_CHECKING:
    from lcsc.report.drawing import Data, Drawing
    from lcsc.report.page import Places
    from lcsc.report.pairs import Pair
    from lcsc.report.records import Baselines, Evaluation, Generation, Samples, Selection, Timing
    from lcsc.report.tables import Table

__all__ = ["ReportInputs", "make_report"]


@dataclass(frozen=True)
class ReportInputs:
    """The files a report is made from, as the other steps wrote them.

    ``page``, ``merged``, ``recipe`` and ``configs`` (the configuration files) are only named in the page; where
    they are empty, the places in which the workflow puts them stand there. So is ``bank``, whose index names the
    tensors where it is given.
    """

    evaluation: Path
    baselines: Path
    selections: Sequence[Path]
    generations: Sequence[Path]
    samples: Path
    timings: Sequence[Path] = field(default_factory=tuple)
    landscapes: Sequence[Path] = field(default_factory=tuple)
    bank: str = ""
    merged: str = ""
    recipe: str = ""
    page: str = ""
    configs: Sequence[str] = field(default_factory=tuple)


def make_report(inputs: ReportInputs, output: Path, figures: Path) -> str:
    """Write the page to ``output`` and figures, tables and their numbers to the folder ``figures``.

    Returns the result table as text for a terminal. All inputs are read before anything is written.

    Raises :class:`InputError` where a record is missing, is of another kind or belongs to another run.
    """
    from lcsc.report.guards import guards_data, guards_table
    from lcsc.report.headline import best_search, headline
    from lcsc.report.page import html_page
    from lcsc.report.tables import result_table, table_data
    from lcsc.report.tuned import tuned_words

    run = _read(inputs)
    evaluation, selections = run.evaluation, run.selections
    best = best_search(selections)
    drawings, pair = _draw_all(run, best)
    table, guards = result_table(evaluation, best), guards_table(evaluation, best)
    chosen = next(selection for selection in selections if selection.search == best)
    words = headline(evaluation, selections, tuned_words(evaluation, run.baselines, chosen, run.timings))
    if words.no_gain:
        logger.warning("%s", words.no_gain)
        table = replace(table, notes=(words.no_gain, *table.notes))
    page = html_page(evaluation, words, table, guards, drawings, pair, _places(inputs, evaluation))
    _write_figures(figures, drawings)
    text = _write_table(figures, "table", table, table_data(table))
    _write_table(figures, "guards", guards, guards_data(evaluation))
    write_text(output, page)
    return text


@dataclass(frozen=True)
class _Run:
    """What all files say; ``seconds`` and ``groups`` (names of parameter groups) by search, where they are known."""

    evaluation: Evaluation
    baselines: Baselines
    selections: Sequence[Selection]
    generations: Mapping[str, Sequence[Generation]]
    samples: Samples
    timings: Sequence[Timing]
    seconds: Mapping[str, Sequence[float]]
    groups: Mapping[str, Sequence[str]]
    landscapes: Sequence[Mapping[str, Any]]


def _read(inputs: ReportInputs) -> _Run:
    from lcsc.report.reading import read_baselines, read_evaluation, read_generations, read_selection, read_timing
    from lcsc.report.reading_samples import read_samples
    from lcsc.report.seconds import seconds_of_searches

    evaluation = read_evaluation(inputs.evaluation)
    checkpoints = len(evaluation.steps)
    selections = [read_selection(path, checkpoints) for path in inputs.selections]
    generations = read_generations(inputs.generations, checkpoints)
    _check_searches(inputs, evaluation, selections, generations)
    timings = [read_timing(path) for path in inputs.timings]
    return _Run(
        evaluation,
        read_baselines(inputs.baselines),
        selections,
        generations,
        read_samples(inputs.samples, [method.name for method in evaluation.methods]),
        timings,
        seconds_of_searches(inputs.generations, timings),
        _group_names(inputs.bank, selections),
        [read_json(path, kind="landscape") for path in inputs.landscapes],
    )


def _group_names(bank: str, selections: Sequence[Selection]) -> dict[str, Sequence[str]]:
    """The names of the parameter groups of each search by the bank's index; none where no bank is given."""
    if not bank:
        return {}
    from lcsc.bank.index import read_index
    from lcsc.groups import make_groups

    tensors = read_index(Path(bank).parent).tensors
    return {selection.search: make_groups(tensors, selection.groups).names for selection in selections}


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


def _draw_all(run: _Run, best: str) -> tuple[dict[str, Drawing], Pair | None]:
    from lcsc.report.figures import coefficients, convergence, cost, images, landscape, result
    from lcsc.report.headline import main_column
    from lcsc.report.pairs import make_pair
    from lcsc.report.style import looks, styled

    evaluation, column = run.evaluation, main_column(run.evaluation)
    look = looks([*(method.name for method in evaluation.methods), "last", "ema", "decayed"])
    with styled():
        drawings = [
            result.draw(evaluation, look),
            convergence.draw(evaluation, run.baselines, run.selections, run.generations, look, run.seconds),
            coefficients.draw(evaluation, run.baselines, run.selections, look, run.groups),
            images.draw(evaluation, run.samples, column, look),
            *landscape.draw_alike(run.landscapes),
            cost.draw(run.timings, look),
        ]
    return {drawing.name: drawing for drawing in drawings}, make_pair(evaluation, run.samples, best, column, look)


def _places(inputs: ReportInputs, evaluation: Evaluation) -> Places:
    from lcsc.report.loading import native_file
    from lcsc.report.page import Places

    run = f"results/{evaluation.run}"
    return Places(
        page=inputs.page or f"{run}/report/report.html",
        bank=inputs.bank or f"{run}/bank/index.json",
        merged=inputs.merged or f"{run}/export/merged.safetensors",
        recipe=inputs.recipe or f"{run}/export/recipe.json",
        configs=inputs.configs,
        native=native_file(inputs.merged, inputs.bank) if inputs.merged and inputs.bank else None,
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
