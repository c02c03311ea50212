"""The step that draws figures over several runs and writes the table of claims."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.cli.settings import measured, step_settings_of
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.paper.points import Point


def figures(options: argparse.Namespace) -> None:
    """``lcsc figures``."""
    limit_threads_before_imports(1)
    settings = step_settings_of(options, "figures")
    with measured("figures", options):
        from lcsc.files import write_bytes, write_text
        from lcsc.paper import figure, table
        from lcsc.report.style import styled

        series = {}
        for name, spec in settings["figures"].items():
            points = _points(spec, options.results)
            with styled():
                drawing, png = figure.draw(name, spec, points)
            assert drawing.data is not None
            write_text(options.output / f"{name}.svg", drawing.svg)
            write_bytes(options.output / f"{name}.png", png)
            write_text(options.output / f"{name}.csv", drawing.data.csv())
            series[name] = figure.series_of(points, spec["methods"])
            logger.info("figure %s: %s", name, spec["title"])
        found = [table.find(claim, series[claim["figure"]]) for claim in settings["claims"]]
        write_text(options.output / "paper.md", table.page(found))
        for claim in found:
            logger.info("%s: %s", claim.spec["claim"], claim.verdict)


def _points(spec: Mapping[str, Any], results: Path) -> list[Point]:
    from lcsc.paper.points import Point
    from lcsc.report.reading import read_evaluation

    return [
        Point(point["x"], tuple(read_evaluation(results / run / "evaluation.json") for run in point["runs"]))
        for point in spec["points"]
    ]
