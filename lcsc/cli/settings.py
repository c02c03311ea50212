"""Where a step's settings come from, and the record of what it cost."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcsc.config import load_config, resolve, step_settings
from lcsc.errors import InputError
from lcsc.files import write_json
from lcsc.progress import logger
from lcsc.runtime import peak_memory_mb


def step_settings_of(options: argparse.Namespace, step: str) -> dict[str, Any]:
    """The settings of ``step``: ``--settings`` as JSON or @FILE, or those that ``--config`` and ``--run`` give."""
    if options.settings is not None:
        return _from_json(options.settings)
    if options.config is None or options.run_name is None:
        raise InputError(f"lcsc {step}: found neither --settings nor --config with --run; give one of them")
    config = resolve(load_config(options.config), source=str(options.config))
    return dict(step_settings(config, options.run_name, step, name=options.name))


def _from_json(text: str) -> dict[str, Any]:
    try:
        source = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        settings = json.loads(source)
    except (OSError, ValueError) as error:
        raise InputError(f"--settings: no JSON ({error}); give an object, or @FILE with one") from error
    if not isinstance(settings, dict):
        raise InputError(f"--settings: found {type(settings).__name__}, expected a JSON object")
    return settings


@dataclass
class Cost:
    """What a step did, beside the seconds and the memory it took; ``earlier_seconds`` were spent by a killed try."""

    evaluations: int = 0
    images: int = 0
    workers: int = 1
    threads: int = 1
    device: str = "cpu"
    earlier_seconds: float = 0.0


@contextmanager
def measured(step: str, options: argparse.Namespace) -> Iterator[Cost]:
    """Time the block and write its cost to ``--timing``."""
    cost = Cost()
    began = time.perf_counter()
    yield cost
    seconds = time.perf_counter() - began + cost.earlier_seconds
    peak = peak_memory_mb()
    logger.debug(
        "done in %.1f s · peak memory %.0f MB · device %s · %d worker(s) of %d thread(s)",
        seconds, peak, cost.device, cost.workers, cost.threads,
    )  # fmt: skip
    if options.timing is not None:
        record = {"step": step, "seconds": seconds, "peak_memory_mb": peak}
        record |= {"evaluations": cost.evaluations, "images": cost.images, "device": cost.device}
        write_json(options.timing, {**record, "threads": cost.threads, "workers": cost.workers}, kind="timing")
