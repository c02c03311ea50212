"""What the subcommands that score do, besides search: baselines, tune, select and evaluate."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.checksums import summed
from lcsc.cli.settings import Cost, measured, step_settings_of
from lcsc.devices import device_of_job
from lcsc.errors import InputError
from lcsc.files import read_json, replacing, write_json
from lcsc.progress import logger
from lcsc.runtime import deterministic, limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.evaluation import Evaluator
    from lcsc.extractors import Extractor
    from lcsc.metrics.reference_file import ReferenceFile
    from lcsc.protocol import Protocol
    from lcsc.scoring import Context
    from lcsc.search.generations import Generation


@contextmanager
def scoring_context(options: argparse.Namespace, settings: dict[str, Any], cost: Cost) -> Iterator[Context]:
    """The scoring context of a step, within deterministic settings."""
    threads = int(settings["threads"])
    limit_threads_before_imports(threads)
    from lcsc.scoring import Context

    device = device_of_job(options.device)
    if options.cores < threads:
        logger.warning(
            "%d threads on %d core(s): `threads` belongs to the results, so give as many", threads, options.cores
        )
    with deterministic(threads):
        context = Context.open(settings, options.bank, device, max(1, options.cores // threads))
        cost.threads, cost.workers, cost.device = threads, context.workers.count, device.type
        yield context


def searched_measure(options: argparse.Namespace, context: Context) -> tuple[Extractor, ReferenceFile]:
    """The searched extractor and its statistics of training images."""
    from lcsc.scoring import load_measures, require_training_part

    (extractor,), (reference,) = load_measures([options.extractor], [options.reference], context.device)
    require_training_part(reference)
    return extractor, reference


def log_protocol(protocol: Protocol) -> None:
    """Write what fixes the scores to the log."""
    logger.debug("protocol %s: %s", protocol.hash, protocol.words())


def baselines(options: argparse.Namespace) -> None:
    """``lcsc baselines``."""
    settings = step_settings_of(options, "baselines")
    with measured("baselines", options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc import baselines as steps
        from lcsc import power_snapshots
        from lcsc.tuning import tuned

        extractor, reference = searched_measure(options, context)
        images = int(settings["images"])
        protocol = context.protocol(extractor, reference, "selection", images)
        log_protocol(protocol)
        evaluator = context.evaluator(extractor, reference, "selection", images)
        grids = settings["baselines"]
        windows, widths, singles = grids.get("windows", ()), grids.get("post_hoc", ()), grids.get("singles", True)
        entries = steps.combinations(context.bank.steps, grids.get("ema_shaped"), windows, widths, singles)
        entries += steps.files(options.emas, options.decayed, options.continued)
        entries += power_snapshots.entries(options.power, widths) if options.power else []
        for folder in options.tuned:
            entries += tuned.entries(folder, context.bank)
        scores = steps.score_baselines(context, evaluator, entries)
        scored = [{**e, "score": s.value, "reason": s.reason} for e, s in zip(entries, scores, strict=True)]
        chosen = steps.choose(scored)
        record = {
            "protocol": protocol.hash,
            "bank": context.bank.identity,
            "extractor": extractor.identity,
            "images": images,
            "entries": scored,
            "chosen": chosen,
        }
        write_json(options.output, record, kind="baselines")
        cost.evaluations, cost.images = len(entries), len(entries) * images
    logger.info("best EMA: %s", chosen.get("ema"))


def tune(options: argparse.Namespace) -> None:
    """``lcsc tune``."""
    settings = step_settings_of(options, "tune")
    label = f"tune-{settings['name']}"
    with measured(label, options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc.tuning import step as tuning_step

        extractor, reference = searched_measure(options, context)
        log_protocol(context.protocol(extractor, reference, "search", int(settings["images"])))
        done = tuning_step.run(context, extractor, reference, settings, options.start, options.output)
        cost.evaluations, cost.images = done.gradients, done.gradients * int(settings["images"])
        cost.earlier_seconds, cost.parts = done.earlier_seconds, done.seconds
    logger.info("wrote %s", options.output)


def select(options: argparse.Namespace) -> None:
    """``lcsc select``."""
    settings = step_settings_of(options, "select")
    with (
        measured(f"select-{settings['name']}", options) as cost,
        scoring_context(options, settings, cost) as context,
    ):
        from lcsc.groups import make_groups
        from lcsc.protocol import require_bank
        from lcsc.search.generations import read_chain
        from lcsc.selection import by_searched, finalists
        from lcsc.selection import select as choose

        extractor, reference = searched_measure(options, context)
        images = int(settings["images"])
        protocol = context.protocol(extractor, reference, "selection", images)
        log_protocol(protocol)
        generations = read_chain(options.generations)
        require_bank(generations[0].bank, context.bank.identity, options.generations[0])
        groups = generations[0].groups
        evaluator = context.evaluator(extractor, reference, "selection", images)
        rows = finalists(generations, int(settings["finalists"]))
        found = choose(context, evaluator, rows, make_groups(context.bank.tensors, groups))
        if options.searched:
            searched = _searched_evaluator(options, context, generations[0], images)
            kind = make_groups(context.bank.tensors, groups)
            found["searched"] = by_searched(context, searched, rows, found, kind)
        record = {"search": settings["name"], "method": generations[0].settings["method"], "groups": groups}
        record |= {"protocol": protocol.hash, "bank": context.bank.identity, "extractor": extractor.identity}
        record |= {"searched_extractor": generations[0].extractor or extractor.record}
        warm = generations[0].settings.get("warm_start") or {}
        record |= {"warm_extractors": warm.get("extractors", [])}
        scored = [item for generation in generations for item in generation.scored if item.raced is None]
        record |= {"images": images, "evaluations": len(scored)}
        record |= {"steps": list(context.bank.steps), "parameters": context.bank.P}
        write_json(options.output, {**record, **found}, kind="selection")
        cost.evaluations, cost.images = len(rows), len(rows) * images


def _searched_evaluator(
    options: argparse.Namespace, context: Context, generation: Generation, images: int
) -> Evaluator:
    """The extractor that was searched, on selection noise; another one is refused."""
    from lcsc.scoring import load_measures, require_training_part

    extractor, reference = options.searched
    (found,), (statistics,) = load_measures([extractor], [reference], context.device)
    require_training_part(statistics)
    expected = (generation.extractor or {}).get("sha256", found.identity)
    if found.identity != expected:
        raise InputError(
            f"{extractor}: is extractor {found.identity[:12]}, expected {expected[:12]}, which was searched; give that"
        )
    return context.evaluator(found, statistics, "selection", images)


def evaluate(options: argparse.Namespace) -> None:
    """``lcsc evaluate``."""
    settings = step_settings_of(options, "evaluate")
    with measured("evaluate", options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc import columns as tables
        from lcsc import final, final_rows
        from lcsc.report.records import REAL
        from lcsc.scoring import load_measures

        extractors, references = load_measures(options.extractors, options.references, context.device)
        columns = tables.make_columns(extractors, references)
        further = tables.further_columns(
            *load_measures(options.searched, options.searched_references, context.device), columns
        )
        real = tables.read_real_images(options.train_images, options.held_out_images, [*columns, *further])
        baselines = _record_of(options.baselines, "baselines", context)
        selections = [_record_of(path, "selection", context) for path in options.selection]
        tables.require_chosen_alike([baselines, *selections], columns)
        methods = final_rows.methods(baselines, selections)
        tables.require_searched(methods, columns, further)
        size = (int(settings["images"]), int(settings["blocks"]))
        for column in [*columns, *further]:
            log_protocol(context.protocol(column.extractor, column.reference, "report", size[0]))
        evaluation = final.FinalEvaluation(context, columns, real, *size, further=further)
        rows = evaluation.run(methods, "final evaluation", guards=True)
        averages = final_rows.hindsight_methods(baselines) if settings.get("hindsight", True) else []
        emas = evaluation.run(averages, "EMAs in hindsight", guards=False) if averages else []
        shown = final_rows.shown_rows(rows, baselines)
        _write_samples(options, [*(row["name"] for row in shown), REAL], evaluation.samples(shown))
        write_json(options.output, final.record(evaluation, rows, emas, settings["run"]), kind="evaluation")
        cost.evaluations = len(rows) + len(emas)
        cost.images = cost.evaluations * evaluation.images * len(evaluation.blocks)


def _record_of(path: Path, kind: str, context: Context) -> dict[str, Any]:
    from lcsc.protocol import require_bank

    record = read_json(path, kind=kind)
    require_bank(str(record.get("bank")), context.bank.identity, path)
    return record


def _write_samples(options: argparse.Namespace, names: list[str], images: Any) -> None:
    import numpy as np

    with summed(options.samples), replacing(options.samples) as place, place.open("wb") as stream:
        np.savez(stream, names=np.asarray(names), images=images)
