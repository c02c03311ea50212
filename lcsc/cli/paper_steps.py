"""The step that draws figures over several runs and writes the table of claims."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lcsc.cli.job_log import log_read
from lcsc.cli.settings import measured, step_settings_of
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.paper.made import Made

# What figures are made of, in a run's folder.
RECORDS = (
    *("evaluation.json", "samples.npz", "bank/index.json"),
    *("timings/*.json", "landscapes/*.json", "search/*/generation-*.json"),
)


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

        _log_records(options, settings["runs"])
        # By name, as the workflow hands them on: by hand the page is the same.
        specs = dict(sorted(settings["figures"].items()))
        records = Records(options.results, settings["runs"], specs)
        made = {}
        for name, spec in specs.items():
            made[name] = kinds.make(name, spec, records)
            _write(options.output, made[name])
            logger.info("figure %s: %s", name, spec["title"])
        found = [table.find(claim, made[claim["figure"]]) for claim in settings["claims"]]
        times = None
        if options.benchmarks is not None:
            times = times_data(times_of(specs, settings["runs"], options.benchmarks))
        configs = options.configfile or ([str(options.config)] if options.config else [])
        write_text(options.output / "paper.md", markdown.page(found, made, records, times, configs))
        page = html_page(found, made, records, times, options.output, configs)
        write_text(options.output / "report.html", page)
        for claim in found:
            logger.info("%s: %s", claim.spec["claim"], claim.verdict)


def _log_records(options: argparse.Namespace, runs: Collection[str]) -> None:
    """Write to the log which records of the runs, and times of their jobs, there are to read."""
    for name in runs:
        found = [path for pattern in RECORDS for path in sorted((options.results / name).glob(pattern))]
        log_read(options, f"records of {name}", found)
    from lcsc.paper.times import SHARED

    for name in (*runs, SHARED) if options.benchmarks is not None else ():
        log_read(options, f"benchmarks of {name}", sorted((options.benchmarks / name).glob("*.tsv")))


def _write(folder: Path, made: Made) -> None:
    from lcsc.files import write_bytes, write_text

    drawing = made.drawing
    assert drawing.data is not None
    write_text(folder / f"{drawing.name}.svg", drawing.svg)
    write_bytes(folder / f"{drawing.name}.png", made.png)
    write_text(folder / f"{drawing.name}.csv", drawing.data.csv())
