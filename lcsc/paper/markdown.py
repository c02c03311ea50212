"""The page of claims, figures and times, in Markdown: what ``make figures`` puts into the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lcsc.config.figures import runs_of
from lcsc.files import read_json
from lcsc.layout import landscape_path
from lcsc.paper.made import Made
from lcsc.paper.records import Records
from lcsc.paper.table import HEADER, Found, command_of, counted
from lcsc.report.drawing import Data
from lcsc.report.headline import HELD_OUT

IMAGES = "images/paper"  # where the docs keep the figures
_BRACKETS, _ESCAPED = re.compile(r"[\[\]]"), r"\\\g<0>"  # they would end a picture's words
DIGITS = 12  # of a protocol's hash


def page(
    claims: Sequence[Found],
    figures: Mapping[str, Made],
    records: Records,
    times: Data | None,
    configs: Sequence[str] = (),
) -> str:
    """The whole page; without a table of ``times`` where nothing was measured; ``configs`` as the workflow had them."""
    lines = [
        "# The paper's claims, at a size that two cores manage",
        "",
        "Made by `make figures`; do not edit. Medians over the training seeds of the figure, ranges in brackets;",
        "distances are to held-out images on noise that nothing else used. A claim holds where the median meets the",
        "target by both extractors. What the paper's abstract does not say is left open here.",
        "",
    ]
    if claims:
        lines += [counted(claims), "", *_table(HEADER, [_linked(claim.cells(configs)) for claim in claims]), ""]
    for name, made in figures.items():
        lines += _figure(made, records.figures[name], records, configs)
    if times is not None:
        lines += ["## What it cost", "", *_times_words(), "", *table(times.header, times.rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def table(header: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table of plain text."""
    return _table(header, [[_text(cell) for cell in row] for row in rows])


def _table(header: Sequence[Any], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same of cells in Markdown; bars within a cell are escaped."""
    return [_row([_text(cell) for cell in header]), _row(["---"] * len(header)), *(_row(row) for row in rows)]


def protocols_of(spec: Mapping[str, Any], records: Records) -> list[str]:
    """The protocols, shortened, of the held-out distances that a figure shows, each once."""
    if spec["kind"] == "landscape":
        return list(dict.fromkeys(protocol[:DIGITS] for protocol in _of_landscapes(spec, records)))
    evaluations = records.evaluations(runs_of(spec, records.figures))
    found = [
        evaluation.protocols[column.key]
        for evaluation in evaluations
        for column in evaluation.columns
        if column.part == HELD_OUT
    ]
    return list(dict.fromkeys(protocol[:DIGITS] for protocol in found))


def _of_landscapes(spec: Mapping[str, Any], records: Records) -> Iterator[str]:
    for run, name in spec["landscapes"]:
        path = Path(landscape_path(run, name, str(records.results)))
        yield from read_json(path, kind="landscape")["protocols"].values()


def _figure(made: Made, spec: Mapping[str, Any], records: Records, configs: Sequence[str]) -> list[str]:
    drawing = made.drawing
    place = f"{IMAGES}/{drawing.name}"
    title = _text(drawing.title)
    lines = [f"## {title}", "", f"![{_BRACKETS.sub(_ESCAPED, title)}]({place}.svg)", ""]
    lines += [f"{_text(drawing.caption)} Numbers: [{drawing.name}.csv]({place}.csv).", ""]
    if drawing.details is not None:
        lines += [*table(drawing.details.header, drawing.details.rows), ""]
    runs = ", ".join(f"`{run}`" for run in runs_of(spec, records.figures))
    protocols = ", ".join(f"`{protocol}`" for protocol in protocols_of(spec, records))
    lines += [f"Runs: {runs}." + (f" Protocols: {protocols}." if protocols else ""), ""]
    made_by = _code(command_of(f"results/figures/{drawing.name}.svg", configs))
    return [*lines, f"Made by {made_by}.", ""]


def _times_words() -> list[str]:
    return [
        "Times of jobs on the machine that made this page, start-up included; jobs run side by side where there are",
        "cores. A run counts with the first figure that shows it.",
    ]


def _linked(cells: Sequence[str]) -> list[str]:
    *others, name, command = cells
    return [*map(_text, others), f"[{_text(name)}]({IMAGES}/{name}.svg)", _code(command)]


def _text(words: Any) -> str:
    """``words`` as Markdown shows them in one line: tags and entities are none. A lone > is no tag."""
    return str(words).replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")


def _code(words: str) -> str:
    """``words`` as code, which ends at none of their own backticks."""
    runs = re.findall("`+", words)
    fence = "`" * (max(map(len, runs), default=0) + 1)
    return f"{fence} {words} {fence}" if runs else f"`{words}`"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
