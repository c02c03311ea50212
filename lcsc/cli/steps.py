"""What the subcommands that make data, models, references, banks and merged checkpoints do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lcsc.checksums import summed
from lcsc.cli.job_log import log_read
from lcsc.cli.settings import Cost, measured, step_settings_of
from lcsc.devices import device_of_job
from lcsc.errors import InputError
from lcsc.files import canonical_json
from lcsc.progress import logger
from lcsc.runtime import deterministic, limit_threads_before_imports


def _prepare(settings: dict[str, Any], cost: Cost, options: argparse.Namespace) -> int:
    """Fix the threads before NumPy and PyTorch are imported; returns their number."""
    threads = int(settings.get("threads", 1))
    limit_threads_before_imports(threads)
    cost.threads = threads
    cost.device = device_of_job(options.device).type
    return threads


def data(options: argparse.Namespace) -> None:
    """``lcsc data``."""
    settings = step_settings_of(options, "data")
    for key in ("path", "held_out_path"):
        log_read(options, f"{key} of the settings", [Path(settings[key])] if settings.get(key) else [])
    limit_threads_before_imports(1)
    from lcsc.data import prepare

    with measured("data", options), summed(options.output / "images"):
        prepare(settings, options.output)
    logger.info("wrote %s", options.output)


def train(options: argparse.Namespace) -> None:
    """``lcsc train``."""
    settings = step_settings_of(options, "train")
    with measured(f"train-{options.schedule}", options) as cost:
        threads = _prepare(settings, cost, options)
        from lcsc.data import load_part
        from lcsc.training.loop import train as run

        with deterministic(threads):
            run(
                settings,
                load_part(options.data),
                options.output,
                options.schedule,
                device_of_job(options.device),
                options.teacher,
            )
        cost.images = int(settings["train"]["steps"]) * int(settings["train"]["batch"])
    logger.info("wrote %s", options.output)


def continue_training(options: argparse.Namespace) -> None:
    """``lcsc continue``."""
    settings = step_settings_of(options, "continue")
    with measured("train-continued", options) as cost:
        threads = _prepare(settings, cost, options)
        from lcsc.data import load_part
        from lcsc.training.loop import continue_training as run

        with deterministic(threads):
            run(settings, load_part(options.data), options.training, options.output, device_of_job(options.device))
        cost.images = int(settings["train"]["continue"]) * int(settings["train"]["batch"])
    logger.info("wrote %s", options.output)


def extractor(options: argparse.Namespace) -> None:
    """``lcsc extractor``."""
    settings = step_settings_of(options, "extractor")
    trained = settings["kind"] == "classifier"
    if trained != (options.data is not None):
        found, expected = ("nothing", "training images") if trained else (options.data, "nothing")
        raise InputError(
            f"--data: found {found}, expected {expected} for an extractor of kind {settings['kind']}; "
            f"{'give' if trained else 'leave out'} --data"
        )
    with measured(f"extractor-{settings['name']}", options) as cost:
        threads = _prepare(settings, cost, options)
        with deterministic(threads), summed(options.output):
            if trained:
                from lcsc.data import load_part
                from lcsc.training.classifier import train_extractor

                device = device_of_job(options.device)
                train_extractor(settings, load_part(options.data), options.output, device=device)
            else:
                from lcsc.extractors.making import make_extractor

                make_extractor(settings, options.output, options.weights)
    logger.info("wrote %s", options.output)


def fetch(options: argparse.Namespace) -> None:
    """``lcsc fetch``."""
    from lcsc.extractors.weights import fetch as run

    with measured("fetch", options):
        run(options.name, options.output)
    logger.info("wrote %s", options.output)


def reference(options: argparse.Namespace) -> None:
    """``lcsc reference``."""
    settings = step_settings_of(options, "reference")
    given = (settings.get("statistics") or {}).get((options.published or "").replace("-", "_"))
    log_read(options, "statistics of the settings", [Path(given["path"])] if given else [])
    with measured("reference", options) as cost:
        threads = _prepare(settings, cost, options)
        from lcsc.published import import_reference
        from lcsc.reference import build_reference

        with deterministic(threads), summed(options.output):
            if options.published:
                import_reference(settings, options.published, options.extractor, options.output)
            else:
                build_reference(options.images, options.extractor, options.output, device_of_job(options.device))
    logger.info("wrote %s", options.output)


def collect(options: argparse.Namespace) -> None:
    """``lcsc collect``."""
    limit_threads_before_imports(1)
    from lcsc.collection import collect as run
    from lcsc.collection import list_checkpoints

    if options.list is not None:
        given = any(value is not None for value in (options.settings, options.config, options.run_name))
        settings = step_settings_of(options, "collect") if given else {}
        print(list_checkpoints(options.list, **_known(settings, options)))
        return
    settings = step_settings_of(options, "collect")
    if options.output is None:
        raise InputError("lcsc collect: --output is missing, expected the bank's folder")
    with measured("collect", options):
        storage = settings.get("storage", "float32")
        bank = run(options.folder, options.output, storage=storage, **_known(settings, options))
    logger.info("wrote %s: K = %d checkpoints, P = %s parameters", options.output, bank.K, f"{bank.P:,}")


def _known(settings: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The choice of checkpoints that the settings make, and options in their place."""
    from lcsc.collection import Choice

    given = {**settings, **{key: value for key, value in vars(options).items() if value is not None}}
    return {key: given[key] for key in Choice.__annotations__ if given.get(key) is not None}


def export(options: argparse.Namespace) -> None:
    """``lcsc export``."""
    settings = step_settings_of(options, "export")
    limit_threads_before_imports(1)
    import numpy as np

    from lcsc.bank import Bank
    from lcsc.export import export_merged, write_recipe
    from lcsc.files import read_json
    from lcsc.protocol import require_bank

    with measured("export", options):
        selections = [read_json(path, kind="selection") for path in options.selection]
        best = min(selections, key=_selection_score)
        chosen = best["finalists"][best["chosen"]]
        extra = {"run": settings["run"], "search": best["search"], "selection_protocol": best["protocol"]}
        extra |= {"selection_score": chosen["selection_score"]}
        bank = Bank.open(options.bank)
        require_bank(str(best.get("bank")), bank.identity, ", ".join(map(str, options.selection)))
        rows = np.asarray(chosen["coefficients"])
        where = {"output": options.output, "native": options.native}
        with summed(options.output):
            recipe = export_merged(bank, rows, best["groups"], **where, recipe_extra=extra)
            write_recipe(recipe, options.recipe)
    logger.info("wrote %s (%s)", options.output, best["search"])


def _selection_score(selection: dict[str, Any]) -> float:
    score = selection["finalists"][selection["chosen"]]["selection_score"]
    return float("inf") if score is None else float(score)


def merge(options: argparse.Namespace) -> None:
    """``lcsc merge``."""
    limit_threads_before_imports(1)
    from lcsc.bank import Bank
    from lcsc.export import merge_from_recipe, read_recipe

    merge_from_recipe(read_recipe(options.recipe), Bank.open(options.bank), options.output, options.source)
    logger.info("wrote %s", options.output)


def verify(options: argparse.Namespace) -> None:
    """``lcsc verify``."""
    limit_threads_before_imports(1)
    from lcsc.verification import verify as check

    outcome = check(options.paths)
    for path in outcome.unknown:
        logger.info("%s: no checksum names it", path)
    for problem in outcome.problems[:-1]:
        logger.error("error: %s", problem)
    if outcome.problems:
        raise InputError(outcome.problems[-1])
    logger.info("%d files are as they were written, %d have no checksum", outcome.checked, len(outcome.unknown))


def settings(options: argparse.Namespace) -> None:
    """``lcsc settings``."""
    from lcsc.config import load_config, step_settings

    config = load_config(options.config)
    print(canonical_json(dict(step_settings(config, options.run_name, options.step, name=options.name)), indent=2))
