"""The step that draws figures over several runs and writes the table of claims."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lcsc.cli.settings import measured, step_settings_of
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.paper.made import Made


def figures(options: argparse.Namespace) -> None:
    """``lcsc figures``."""
    limit_threads_before_imports(1)
    settings = step_settings_of(options, "figures")
    with measured("figures", options):
        from lcsc.files import write_text
        from lcsc.paper import kinds, markdown, table
        from lcsc.paper.page import html_page
        from lcsc.paper.records import Records
        from lcsc.paper.times import times_data, times_of

        records = Records(options.results, settings["runs"], settings["figures"])
        made = {}
        for name, spec in settings["figures"].items():
            made[name] = kinds.make(name, spec, records)
            _write(options.output, made[name])
            logger.info("figure %s: %s", name, spec["title"])
        found = [table.find(claim, made[claim["figure"]]) for claim in settings["claims"]]
        times = None
        if options.benchmarks is not None:
            times = times_data(times_of(settings["figures"], settings["runs"], options.benchmarks))
        configs = options.configfile or ([str(options.config)] if options.config else [])
        write_text(options.output / "paper.md", markdown.page(found, made, records, times, configs))
        page = html_page(found, made, records, times, options.output, configs)
        write_text(options.output / "report.html", page)
        for claim in found:
            logger.info("%s: %s", claim.spec["claim"], claim.verdict)


def _write(folder: Path, made: Made) -> None:
    from lcsc.files import write_bytes, write_text

    drawing = made.drawing
    assert drawing.data is not None
    write_text(folder / f"{drawing.name}.svg", drawing.svg)
    write_bytes(folder / f"{drawing.name}.png", made.png)
    write_text(folder / f"{drawing.name}.csv", drawing.data.csv())
