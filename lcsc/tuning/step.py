"""One fine-tuning from settings to manifest: the start, the gradients' evaluators, and the record of it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.bank.combination import combine
from lcsc.errors import InputError
from lcsc.extractors import Extractor
from lcsc.gradients import GradientEvaluator
from lcsc.groups import make_groups
from lcsc.metrics.reference_file import ReferenceFile
from lcsc.progress import logger
from lcsc.scoring import Context
from lcsc.span import Span
from lcsc.tuning.files import Tuned, finish, run_all
from lcsc.tuning.tuning import BEST_AVERAGE, Start, best_average, searched_start


def run(
    context: Context,
    extractor: Extractor,
    reference: ReferenceFile,
    settings: Mapping[str, Any],
    selection: Path | None,
    output: Path,
) -> Tuned:
    """Fine-tune as ``settings`` of the step ``tune`` say, and write weights and manifest to ``output``.

    ``selection`` is the selection.json of the search that ``tune.start`` names; none where it is an average, which is
    chosen on as many images as the searches choose theirs on.
    """
    images, options = int(settings["images"]), settings["tune"]

    def evaluator_of(iteration: int) -> GradientEvaluator:
        return GradientEvaluator.of(context.evaluator(extractor, reference, "search", images, iteration))

    evaluator_of(0)  # refuses an extractor that is not differentiable before anything is scored
    start = _start(context, extractor, reference, settings, selection)
    logger.info("start: %s", start.origin)
    merged = combine(context.bank, start.coefficients[None], make_groups(context.bank.tensors, start.groups))[0]
    about = {
        "protocol": context.protocol(extractor, reference, "search", images).hash,
        "bank": context.bank.identity,
        "extractor": extractor.identity,
        "searched_extractor": extractor.record,
        "start": start.record(),
    }
    span = Span.of(context.bank, options["span"]) if options.get("span") else None
    fixed = {key: value for key, value in options.items() if key != "rates"}
    done = run_all(np.asarray(merged), options, evaluator_of, context.bank, output, {**about, "tune": fixed}, span)
    record = {**about, "name": settings["name"], "images": images, "settings": dict(options), "rates": done.entries}
    finish(output, record)
    return done


def _start(
    context: Context,
    extractor: Extractor,
    reference: ReferenceFile,
    settings: Mapping[str, Any],
    selection: Path | None,
) -> Start:
    name = settings["tune"]["start"]
    if name == BEST_AVERAGE:
        if selection is not None:
            raise InputError(f"--start: found {selection}, expected none, since the settings' start is {BEST_AVERAGE}")
        evaluator = context.evaluator(extractor, reference, "search", int(settings["search_images"]))
        return best_average(context, evaluator, settings["tune"].get("initial_rates"))
    if selection is None:
        raise InputError(f"--start: found none, expected selection.json of the search {name!r}, which 'start' names")
    return searched_start(selection, name, context.bank)
