"""What the subcommands that show what others made do: a run's report, and runs beside one another."""

from __future__ import annotations

import argparse

from lcsc.checksums import summed
from lcsc.cli.settings import measured, step_settings_of
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports


def report(options: argparse.Namespace) -> None:
    """``lcsc report``."""
    step_settings_of(options, "report")
    limit_threads_before_imports(1)
    from lcsc.report import ReportInputs, make_report

    with measured("report", options):
        inputs = ReportInputs(
            evaluation=options.evaluation,
            baselines=options.baselines,
            selections=options.selection,
            generations=options.generations,
            samples=options.samples,
            timings=options.timings,
            landscapes=options.landscapes,
            bank=str(options.bank),
            merged=str(options.merged),
            recipe=str(options.recipe),
            page=str(options.output),
            configs=options.configfile,
        )
        with summed(options.output):
            make_report(inputs, options.output, options.figures)
    logger.info("wrote %s", options.output)


def compare(options: argparse.Namespace) -> None:
    """``lcsc compare``."""
    limit_threads_before_imports(1)
    from lcsc.files import write_json
    from lcsc.report.compare import compare as over_runs

    found = over_runs([folder / "evaluation.json" for folder in options.runs])
    print(found.text)
    if options.output is not None:
        write_json(options.output, found.record, kind="comparison")


def curves(options: argparse.Namespace) -> None:
    """``lcsc curves``."""
    limit_threads_before_imports(1)
    from lcsc.files import write_bytes, write_text
    from lcsc.report.costs import costs_data, costs_text
    from lcsc.report.courses import read_runs
    from lcsc.report.figures import curves as figure
    from lcsc.report.style import styled

    runs = read_runs(options.runs)
    with styled():
        drawing, png = figure.draw(runs)
    assert drawing.data is not None
    text, folder = costs_text(runs), options.output
    write_text(folder / "curves.svg", drawing.svg)
    write_bytes(folder / "curves.png", png)
    write_text(folder / "curves.csv", drawing.data.csv())
    write_text(folder / "costs.txt", text)
    write_text(folder / "costs.csv", costs_data(runs).csv())
    print(text)
