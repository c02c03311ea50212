"""Where a step's settings come from, and the record of what it cost."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lcsc.cli.known_keys import refuse_unknown
from lcsc.config import load_config, step_settings
from lcsc.errors import InputError
from lcsc.files import canonical_json, hash_of, write_json
from lcsc.progress import logger
from lcsc.refusals import read_or_refuse
from lcsc.runtime import peak_device_memory_mb, peak_memory_mb

_OF_NETWORKS = ("network", "preconditioning", "sampler")
_GENERATOR = ("generator.factory", "generator.image_shape")
_NETWORK = ("network.image_shape",)
_SIGMAS = tuple(f"preconditioning.sigma_{key}" for key in ("min", "max", "data"))
_SCHEDULE = ("prediction", "schedule", "timesteps", "beta_start", "beta_end", "learned_variance")
_FLAGS = ("rescale_timesteps", "nearest_timestep")
_EVALUATION = tuple(f"evaluation.{key}" for key in ("seed", "chunk", "candidates_per_block"))
_SCORING = ("threads", *_NETWORK, "preconditioning.kind", "sampler.kind", *_EVALUATION, "images")
_TRAIN = ("recipe", "steps", "batch", "learning_rate", "seed", "save_from", "save_every", "ema_rates")
_CLASSIFIER = ("architecture", "dimension", "steps", "batch", "learning_rate", "noise", "seed")
_EVOLUTION = ("seed", "population", "parents", "crossover", "mutation_scale", "mutation_share")
_LANDSCAPE = tuple(f"landscape.{key}" for key in ("checkpoints", "rate", "steps", "low", "high", "points"))
_TUNE = ("start", "rates", "gradients", "noise", "decay", "betas")
# Of what lcsc.config.step_settings gives, the keys that each step cannot do without.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "data": ("source", "held_out", "seed"),
    "train": (*_NETWORK, "preconditioning.kind", *(f"train.{key}" for key in _TRAIN)),
    "continue": (*_NETWORK, "preconditioning.kind", *(f"train.{key}" for key in (*_TRAIN, "continue"))),
    "extractor": ("kind", "name"),
    "reference": (),
    "collect": (),
    "baselines": _SCORING,
    "search": (*_SCORING, "name", "search.method"),
    "tune": (*_SCORING, "name", "search_images", *(f"tune.{key}" for key in _TUNE)),
    "select": (*_SCORING, "name", "finalists"),
    "evaluate": (*_SCORING, "run", "blocks"),
    "trace": (*_SCORING, "run", "name", "points", "unit", "search_images"),
    "landscape": (*_SCORING, "run", "name", *_LANDSCAPE),
    "export": ("run",),
    "report": (),
    "figures": ("figures", "claims", "runs"),
}
# What else each step's settings may have, besides the sections and keys that it needs.
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "train": ("threads",),
    "continue": ("threads",),
    "reference": ("data_id", "extractor_id", "threads", "statistics"),
    "baselines": ("baselines", "extractor"),
    "search": ("extractor",),
    "tune": ("extractor",),
    "select": ("extractor",),
    "evaluate": ("extractors", "searched", "hindsight"),
    "trace": ("extractors",),
    "landscape": ("extractors",),
    "report": ("run",),
}
# What some values of those keys need besides.
NEEDED_BY: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("preconditioning.kind", "consistency"): _SIGMAS,
    ("preconditioning.kind", "edm"): _SIGMAS,
    ("preconditioning.kind", "ddpm"): tuple(f"preconditioning.{key}" for key in (*_SCHEDULE, *_FLAGS)),
    ("sampler.kind", "ancestral"): ("sampler.steps",),
    ("sampler.kind", "ddim"): ("sampler.steps",),
    ("sampler.kind", "dpm-solver++"): ("sampler.steps",),
    ("train.recipe", "consistency"): ("train.scales",),
    ("train.recipe", "distillation"): ("train.scales", "train.target_rate"),
    ("kind", "classifier"): _CLASSIFIER,
    ("kind", "inception"): ("mode", "sha256", "resize"),
    ("kind", "efficientnet_lite0"): ("size", "resize"),
    ("kind", "dinov2"): ("sha256", "architecture", "size", "resize", "mean", "std"),
    ("search.method", "evolution"): tuple(f"search.{key}" for key in _EVOLUTION),
    ("search.method", "cma-es"): ("search.seed", "search.sigma"),
    ("search.method", "random"): ("search.seed", "search.population"),
}
_WHOLE = {
    *("threads", "images", "blocks", "finalists", "seed", "chunk", "candidates_per_block", "steps", "batch"),
    *("gradients", "search_images", "continue", "points", "unit"),
    *("save_from", "save_every", "dimension", "population", "parents", "from_step", "to_step", "size"),
    *("every", "count"),
}
_LISTS = ("landscape.steps",)  # a list under a name that elsewhere has a whole number


def step_settings_of(options: argparse.Namespace, step: str) -> dict[str, Any]:
    """The settings of ``step``: ``--settings`` as JSON or @FILE, or those that ``--config`` and ``--run`` give.

    They go to the log, after their hash, since they fix the step's result.
    """
    settings = _given_or_configured(options, step)
    logger.debug("settings %s: %s", hash_of(settings), canonical_json(settings))
    return settings


def _given_or_configured(options: argparse.Namespace, step: str) -> dict[str, Any]:
    if options.settings is not None:
        settings = _from_json(options.settings)
        _require(settings, step)
        return settings
    if options.config is None or (options.run_name is None and step != "figures"):  # these are of all runs
        raise InputError(f"lcsc {step}: found neither --settings nor --config with --run; give one of them")
    return dict(step_settings(load_config(options.config), options.run_name, step, name=options.name))


def _from_json(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(_read(Path(text[1:])) if text.startswith("@") else text)
    except ValueError as error:
        raise InputError(f"--settings: no JSON ({error}); give an object, or @FILE with one") from error
    if not isinstance(settings, dict):
        raise InputError(f"--settings: found {type(settings).__name__}, expected a JSON object")
    return settings


def _read(path: Path) -> str:
    try:
        return read_or_refuse(path, lambda: path.read_text(encoding="utf-8"), what="a JSON object")
    except InputError as error:
        raise InputError(f"--settings: {error}") from error


def _require(settings: Mapping[str, Any], step: str) -> None:
    """Refuse ``settings`` that lack a key of ``step`` or have one too many, or no whole number where one is needed."""
    for key in ("threads", "from_step", "to_step", "every", "count"):
        if settings.get(key) is not None:
            _value(settings, key, step)
    for key in _needed(settings, step):
        found = _value(settings, key, step)
        for further in NEEDED_BY.get((key, str(found)), ()):
            _value(settings, further, step)
    known = dict.fromkeys(key.partition(".")[0] for key in _needed(settings, step))
    refuse_unknown(settings, step, (*known, *OPTIONAL.get(step, ())))


def _needed(settings: Mapping[str, Any], step: str) -> tuple[str, ...]:
    """The keys of ``step``; a generator of one's own needs its own in place of a network's."""
    if "generator" not in settings:
        return NEEDED[step]
    others = tuple(key for key in NEEDED[step] if key.partition(".")[0] not in _OF_NETWORKS)
    return others if others == NEEDED[step] else (*others, *_GENERATOR)


def _value(settings: Mapping[str, Any], key: str, step: str) -> Any:
    value: Any = settings
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(value, dict):
            place, found = ".".join(parts[:depth]), type(value).__name__
            raise InputError(f"--settings: {place}: found {found}, expected an object; `lcsc settings` prints one")
        if part not in value:
            place = ".".join(parts[: depth + 1])
            raise InputError(
                f"--settings: {place}: not found; step '{step}' needs it; `lcsc settings` prints a step's settings"
            )
        value = value[part]
    if parts[-1] in _WHOLE and key not in _LISTS and (not isinstance(value, int) or isinstance(value, bool)):
        raise InputError(f"--settings: {key}: found {value!r}, expected a whole number")
    return value


@dataclass
class Cost:
    """What a step did, beside the seconds and the memory it took; ``earlier_seconds`` were spent by a killed try."""

    evaluations: int = 0
    images: int = 0
    workers: int = 1
    threads: int = 1
    device: str = "cpu"
    earlier_seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)  # seconds of parts of the step, by name


@contextmanager
def measured(step: str, options: argparse.Namespace) -> Iterator[Cost]:
    """Time the block, say at the end of the log what it took, and write its cost to ``--timing``."""
    cost = Cost()
    began = time.perf_counter()
    try:
        yield cost
    except BaseException:
        logger.debug("failed after %s", _took(cost, time.perf_counter() - began))
        raise
    seconds = time.perf_counter() - began + cost.earlier_seconds
    logger.debug("done in %s", _took(cost, seconds))
    if options.timing is not None:
        record = {"step": step, "seconds": seconds, "peak_memory_mb": peak_memory_mb()}
        record |= {"evaluations": cost.evaluations, "images": cost.images, "device": cost.device}
        record |= {"parts": dict(cost.parts)} if cost.parts else {}
        write_json(options.timing, {**record, "threads": cost.threads, "workers": cost.workers}, kind="timing")


def _took(cost: Cost, seconds: float) -> str:
    on_device = peak_device_memory_mb()
    words = [f"{seconds:.1f} s", f"peak memory {peak_memory_mb():.0f} MB"]
    words += [] if on_device is None else [f"{on_device:.0f} MB on the device"]
    words += [f"device {cost.device}", f"{cost.workers} worker(s) of {cost.threads} thread(s)"]
    return " · ".join(words)
