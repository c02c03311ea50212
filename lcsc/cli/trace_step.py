"""What ``lcsc trace`` does: what a search or a fine-tuning had reached after so much work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.cli.scoring_steps import log_protocol, scoring_context
from lcsc.cli.settings import measured, step_settings_of
from lcsc.errors import InputError
from lcsc.files import read_json, write_json
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.traces.record import Measures


def trace(options: argparse.Namespace) -> None:
    """``lcsc trace``."""
    settings = step_settings_of(options, "trace")
    limit_threads_before_imports(int(settings["threads"]))
    label = f"trace-{settings['name']}"
    with measured(label, options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc.protocol import require_bank
        from lcsc.scoring import load_measures
        from lcsc.traces.record import KIND, Measures

        extractors, references = load_measures(options.extractors, options.references, context.device)
        measures = Measures(context, extractors, references, int(settings["images"]))
        for extractor, reference in zip(extractors, references, strict=True):
            log_protocol(context.protocol(extractor, reference, "report", measures.images))
        baselines = read_json(options.baselines, kind="baselines")
        require_bank(str(baselines.get("bank")), context.bank.identity, options.baselines)
        timings = [read_json(path, kind="timing") for path in options.timings]
        of = _of_search if options.generations else _of_tuning
        record = of(options, measures, baselines, timings, settings)
        write_json(options.output, record, kind=KIND)
        cost.evaluations, cost.images = len(record["points"]), len(record["points"]) * measures.images
    logger.info("wrote %s: %d points", options.output, len(record["points"]))


def _of_search(
    options: argparse.Namespace,
    measures: Measures,
    baselines: dict[str, Any],
    timings: list[dict[str, Any]],
    settings: dict[str, Any],
) -> dict[str, Any]:
    from lcsc.protocol import require_bank
    from lcsc.search.generations import read_chain
    from lcsc.traces.record import of_search

    generations = read_chain(options.generations)
    require_bank(generations[0].bank, measures.context.bank.identity, options.generations[0])
    workers = {int(timing["workers"]) for timing in timings}
    if len(workers) > 1:
        logger.warning("rounds had %s workers; seconds are counted as if all had had the fewest", sorted(workers))
    return of_search(measures, baselines, generations, options.generations[0].parent, settings, min(workers))


def _of_tuning(
    options: argparse.Namespace,
    measures: Measures,
    baselines: dict[str, Any],
    timings: list[dict[str, Any]],
    settings: dict[str, Any],
) -> dict[str, Any]:
    from lcsc.traces.of_tunings import of_tuning
    from lcsc.traces.record import KIND

    if len(timings) != 1:
        raise InputError(f"--timings: found {len(timings)} files, expected that of the fine-tuning alone")
    folder: Path = options.tuned
    before = None if options.after is None else read_json(options.after, kind=KIND)
    return of_tuning(measures, baselines, folder, timings[0].get("parts", {}), settings, before)
