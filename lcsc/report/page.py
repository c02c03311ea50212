"""The report of a run as one self-contained HTML page: nothing in it is loaded from elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lcsc.report.assets import render
from lcsc.report.compact import compact_drawings
from lcsc.report.drawing import Drawing
from lcsc.report.headline import Headline
from lcsc.report.loading import NativeFile, Snippet, loading
from lcsc.report.pairs import Pair
from lcsc.report.records import Evaluation
from lcsc.report.table_formats import html_table
from lcsc.report.tables import Table

SHORT_TITLES = {
    "convergence": "Convergence",
    "coefficients": "Coefficients",
    "images": "Images",
    "landscape": "Landscape",
    "cost": "Cost",
}


@dataclass(frozen=True)
class Places:
    """Where the run's page, bank, merged checkpoint and recipe lie, as the reader should type them.

    ``configs`` are the configuration files that the workflow was given, in their order; ``native`` is the merged
    checkpoint in the format of the run's own files, where it was exported in that, too.
    """

    page: str
    bank: str
    merged: str
    recipe: str
    configs: Sequence[str] = ()
    native: NativeFile | None = None


@dataclass(frozen=True)
class Section:
    """An entry of the page's contents."""

    name: str
    short: str


def html_page(
    evaluation: Evaluation,
    headline: Headline,
    table: Table,
    guards: Table,
    drawings: Mapping[str, Drawing],
    pair: Pair | None,
    places: Places,
) -> str:
    """The whole page: the drawing ``result`` at its top, the others in their order below the tables."""
    drawings, outlines = compact_drawings(drawings)
    body = [drawing for name, drawing in drawings.items() if name != "result"]
    sections = [Section("table", "All methods"), Section("guards", "Guards")]
    sections += [Section(drawing.name, SHORT_TITLES.get(drawing.name, drawing.title)) for drawing in body]
    sections += [Section("protocol", "Protocol"), Section("reproduce", "Make it again"), Section("use", "Use it")]
    return render(
        "run.html.j2",
        outlines=outlines,
        evaluation=evaluation,
        headline=headline,
        table=html_table(table),
        footnotes=table.notes,
        guards=html_table(guards),
        guard_notes=guards.notes,
        drawings=drawings,
        body_drawings=body,
        comparison=pair,
        sections=sections,
        reproduction=reproduction(places),
        loading=loading(places.merged, places.native),
    )


def reproduction(places: Places) -> Sequence[Snippet]:
    """Commands that make the run, and its merged checkpoint alone, again."""
    bank, merged, recipe = (shlex.quote(place) for place in (places.bank, places.merged, places.recipe))
    again = f"merged-again{Path(places.merged).suffix}"
    given = f" --configfile {shlex.join(places.configs)} --" if places.configs else ""
    return [
        Snippet(
            "The whole run",
            f"snakemake --cores all{given} {shlex.quote(places.page)}",
            "In the folder of the workflow: what stands there already is not made again.",
        ),
        Snippet(
            "The merged checkpoint, byte for byte, from its recipe",
            f"lcsc merge --recipe {recipe} --bank {bank} --output {again}\ncmp {merged} {again}",
        ),
    ]
