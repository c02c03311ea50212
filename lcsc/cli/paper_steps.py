"""The step that draws figures over several runs and writes the table of claims."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.cli.settings import measured, step_settings_of
from lcsc.layout import landscape_path
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.paper.points import Point, Role, Series
    from lcsc.report.drawing import Drawing

    # A figure, its PNG, and its lines by method and extractor.
    Drawn = tuple[Drawing, bytes, Mapping[tuple[str, Role], Series]]


def figures(options: argparse.Namespace) -> None:
    """``lcsc figures``."""
    limit_threads_before_imports(1)
    settings = step_settings_of(options, "figures")
    with measured("figures", options):
        from lcsc.files import write_text
        from lcsc.paper import table

        series = {}
        for name, spec in settings["figures"].items():
            draw = _landscape_figure if spec["kind"] == "landscape" else _line_figure
            drawing, png, series[name] = draw(name, spec, options.results)
            _write(options.output, drawing, png)
            logger.info("figure %s: %s", name, spec["title"])
        found = [table.find(claim, series[claim["figure"]]) for claim in settings["claims"]]
        write_text(options.output / "paper.md", table.page(found))
        for claim in found:
            logger.info("%s: %s", claim.spec["claim"], claim.verdict)


def _line_figure(name: str, spec: Mapping[str, Any], results: Path) -> Drawn:
    from lcsc.paper import figure
    from lcsc.report.style import styled

    points = _points(spec, results)
    with styled():
        return *figure.draw(name, spec, points), figure.series_of(points, spec["methods"])


def _landscape_figure(name: str, spec: Mapping[str, Any], results: Path) -> Drawn:
    """A figure without lines, which no claim is about."""
    from lcsc.files import read_json
    from lcsc.paper.landscape_figure import draw
    from lcsc.paper.landscape_record import KIND
    from lcsc.report.style import styled

    records = [
        read_json(Path(landscape_path(run, landscape, str(results))), kind=KIND)
        for run, landscape in spec["landscapes"]
    ]
    with styled():
        return *draw(name, spec["title"], records), {}


def _write(folder: Path, drawing: Drawing, png: bytes) -> None:
    from lcsc.files import write_bytes, write_text

    assert drawing.data is not None
    write_text(folder / f"{drawing.name}.svg", drawing.svg)
    write_bytes(folder / f"{drawing.name}.png", png)
    write_text(folder / f"{drawing.name}.csv", drawing.data.csv())


def _points(spec: Mapping[str, Any], results: Path) -> list[Point]:
    from lcsc.paper.points import Point
    from lcsc.report.reading import read_evaluation

    return [
        Point(point["x"], tuple(read_evaluation(results / run / "evaluation.json") for run in point["runs"]))
        for point in spec["points"]
    ]
