"""The page of a set of runs: one HTML file with the first claim, all claims, every figure and what it cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lcsc.config.figures import runs_of
from lcsc.paper.made import Made
from lcsc.paper.markdown import protocols_of
from lcsc.paper.records import Records
from lcsc.paper.table import HEADER, JUDGED_BY, Found, command_of, counted
from lcsc.report.assets import render
from lcsc.report.compact import compact_drawings
from lcsc.report.drawing import Data, Drawing
from lcsc.report.headline import Headline
from lcsc.report.loading import Snippet
from lcsc.report.page import Section

LARGE = 400_000  # characters of a compact SVG from which a page holds the PNG in its place
LEAD = ""  # the name of the picture at the top among the drawings
ENDS = ("What it cost", "cost"), ("Make it again", "reproduce")
COMMAND_COLUMN = HEADER.index("command")


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it; ``runs`` go with the address of their own page, where there is one."""

    drawing: Drawing
    runs: Sequence[tuple[str, str | None]]
    protocols: Sequence[str]
    command: Snippet


def html_page(
    claims: Sequence[Found],
    figures: Mapping[str, Made],
    records: Records,
    times: Data | None,
    folder: Path,
    configs: Sequence[str] = (),
) -> str:
    """The whole page, which stands in ``folder`` beside the figures' files; ``configs`` as the workflow was given."""
    lead = figures[claims[0].spec["figure"] if claims else next(iter(figures))]
    drawings, outlines = compact_drawings({LEAD: lead.drawing, **{name: one.drawing for name, one in figures.items()}})
    pictures = {name: _embedded(drawing, (figures.get(name) or lead).png) for name, drawing in drawings.items()}
    shown = {name: _shown(pictures[name], records, folder, configs) for name in figures}
    sections = [Section("claims", "Claims")] if claims else []
    sections += [Section(f"figure-{name}", _short(name)) for name in shown]
    sections += [Section(name, title) for title, name in ENDS if name != "cost" or times is not None]
    return render(
        "set.html.j2",
        outlines=outlines,
        headline=_headline(claims, figures, records),
        lead=replace(pictures[LEAD], plot=None),
        header=[*HEADER[:COMMAND_COLUMN]],
        claims=[claim.cells(configs)[:COMMAND_COLUMN] for claim in claims],
        counted=counted(claims),
        shown=shown,
        times=times,
        whole=Snippet("All figures", command_of("figures", configs), "What stands there already is not made again."),
        sections=sections,
        runs=len({run for one in shown.values() for run, _ in one.runs}),
    )


def _shown(drawing: Drawing, records: Records, folder: Path, configs: Sequence[str]) -> Shown:
    name, spec = drawing.name, records.figures[drawing.name]
    runs = [(run, _page_of(records.results / run, folder)) for run in runs_of(spec, records.figures)]
    command = Snippet("This figure", command_of(f"results/figures/{name}.svg", configs))
    return Shown(drawing, runs, protocols_of(spec, records), command)


def _embedded(drawing: Drawing, png: bytes) -> Drawing:
    """The drawing under its title, which need not begin its caption, too; as PNG where the SVG is large."""
    found = replace(drawing, caption=drawing.caption.removeprefix(f"{drawing.title}. "))
    return replace(found, svg="", png=png) if len(drawing.svg) > LARGE else found


def _page_of(run: Path, folder: Path) -> str | None:
    page = run / "report" / "report.html"
    return Path(os.path.relpath(page, folder)).as_posix() if page.is_file() else None


def _headline(claims: Sequence[Found], figures: Mapping[str, Made], records: Records) -> Headline:
    """The first claim by the extractor that no search saw, where it judges; without claims, what the page shows."""
    if not claims:
        words = f"figures over {len(records.about)} runs; the configuration makes no claims"
        return Headline(str(len(figures)), "figures", f"{words}.".capitalize(), "")
    claim = claims[0]
    role = next(iter(sorted(claim.numbers, key="unseen".__ne__)))
    here = f"{claim.spec['claim']}: {claim.verdict}. {claim.spec['here']}."
    paper = f"The paper: {claim.spec['paper']}."
    words = f"{claim.unit} {JUDGED_BY[role]}; the median of training seeds".strip()
    return Headline(claim.numbers[role].middle_text(), words, f"{here} {paper} {counted(claims)}", "")


def _short(name: str) -> str:
    return name.replace("-", " ").capitalize()
