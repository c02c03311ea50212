"""What ``lcsc landscape`` does: distances over the plane through three checkpoints or averages."""

from __future__ import annotations

import argparse

from lcsc.cli.scoring_steps import log_protocol, scoring_context
from lcsc.cli.settings import measured, step_settings_of
from lcsc.files import read_json, write_json
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports


def landscape(options: argparse.Namespace) -> None:
    """``lcsc landscape``."""
    settings = step_settings_of(options, "landscape")
    limit_threads_before_imports(int(settings["threads"]))
    label = f"landscape-{settings['name']}"
    with measured(label, options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc.paper.landscape_record import KIND, marked, record
        from lcsc.protocol import require_bank
        from lcsc.scoring import load_measures
        from lcsc.traces.record import Measures

        extractors, references = load_measures(options.extractors, options.references, context.device)
        measures = Measures(context, extractors, references, int(settings["images"]))
        for extractor, reference in zip(extractors, references, strict=True):
            log_protocol(context.protocol(extractor, reference, "report", measures.images))
        baselines = read_json(options.baselines, kind="baselines")
        selections = [read_json(path, kind="selection") for path in options.selection]
        for path, found in zip([options.baselines, *options.selection], [baselines, *selections], strict=True):
            require_bank(str(found.get("bank")), context.bank.identity, path)
        made = record(measures, marked(baselines, selections), settings)
        write_json(options.output, made, kind=KIND)
        cost.evaluations = len(made["xs"]) * len(made["ys"]) + len(made["marks"])
        cost.images = cost.evaluations * measures.images
    logger.info("wrote %s: %d evaluations", options.output, cost.evaluations)
