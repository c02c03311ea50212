"""The report as one self-contained HTML page: nothing in it is loaded from elsewhere."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lcsc.report.drawing import Drawing
from lcsc.report.headline import Headline
from lcsc.report.records import Evaluation
from lcsc.report.table_formats import html_table
from lcsc.report.tables import Table

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

FOLDER = Path(__file__).parent
SHORT_TITLES = {
    "convergence": "Convergence",
    "coefficients": "Coefficients",
    "images": "Images",
    "cost": "Cost",
}


@dataclass(frozen=True)
class Places:
    """Where the run's bank, merged checkpoint and recipe lie, as the reader should type them."""

    bank: str
    merged: str
    recipe: str


@dataclass(frozen=True)
class Section:
    """An entry of the page's contents."""

    name: str
    short: str


@dataclass(frozen=True)
class Snippet:
    """Lines to copy."""

    title: str
    code: str


def html_page(
    evaluation: Evaluation,
    headline: Headline,
    table: Table,
    guards: Table,
    drawings: Mapping[str, Drawing],
    places: Places,
) -> str:
    """The whole page: the drawing ``result`` at its top, the others in their order below the tables."""
    from markupsafe import Markup

    from lcsc import __version__

    environment = _environment()
    body = [drawing for name, drawing in drawings.items() if name != "result"]
    sections = [Section("table", "All methods"), Section("guards", "Guards")]
    sections += [Section(drawing.name, SHORT_TITLES.get(drawing.name, drawing.title)) for drawing in body]
    sections += [Section("protocol", "Protocol"), Section("use", "Use it")]
    return environment.get_template("page.html.j2").render(
        evaluation=evaluation,
        headline=headline,
        table=Markup(html_table(table)),
        footnotes=table.notes,
        guards=Markup(html_table(guards)),
        guard_notes=guards.notes,
        drawings=drawings,
        body_drawings=body,
        sections=sections,
        snippets=snippets(places),
        figure=lambda drawing: figure_html(environment, drawing),
        css=Markup((FOLDER / "page.css").read_text(encoding="utf-8").strip()),
        script=Markup((FOLDER / "page.js").read_text(encoding="utf-8").strip()),
        version=__version__,
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def figure_html(environment: Environment, drawing: Drawing) -> Markup:
    """A figure with its caption, and its numbers where they are few; nothing is loaded from outside."""
    from markupsafe import Markup

    source = f"data:image/png;base64,{base64.b64encode(drawing.png).decode()}" if drawing.png else ""
    template = environment.get_template("figure.html.j2")
    return Markup(template.render(drawing=drawing, svg=Markup(drawing.svg.strip()), source=source))


def snippets(places: Places) -> Sequence[Snippet]:
    """Lines that load the merged checkpoint and that make it again."""
    bank, merged, recipe = (shlex.quote(place) for place in (places.bank, places.merged, places.recipe))
    suffix = Path(places.merged).suffix
    if suffix == ".safetensors":
        lines = ["from safetensors.torch import load_file", f"weights = load_file({places.merged!r})"]
    else:
        lines = ["import torch", f"weights = torch.load({places.merged!r}, weights_only=True)"]
    load = "\n\n".join([lines[0], f"{lines[1]}\nnetwork.load_state_dict(weights)"])
    return [
        Snippet("Load the merged checkpoint into your own network", load),
        Snippet(
            "Make it again, byte for byte, from its recipe",
            f"lcsc merge --recipe {recipe} --bank {bank} --output merged-again{suffix}\n"
            f"cmp {merged} merged-again{suffix}",
        ),
    ]
