"""How fast each stage of a run is here: its network, sampler, extractors and trainings on random weights and images.

On the CPU the processor's time counts, for each thread: what a worker takes where nothing else runs.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lcsc import layout
from lcsc.bank.combination import combine
from lcsc.checkpoints import format_named
from lcsc.collection import collect
from lcsc.config import searched_name, step_settings
from lcsc.data.parts import Part
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator
from lcsc.extractors import Extractor, load_extractor
from lcsc.extractors.making import make_extractor
from lcsc.generators import build_network, image_shape_of
from lcsc.gradients import GradientEvaluator
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.plan.forecast import Speeds
from lcsc.plan.stopwatch import TRIES, Stopwatch, begin_seconds
from lcsc.progress import logger
from lcsc.runtime import deterministic
from lcsc.scoring import Context
from lcsc.training.classifier import train_extractor
from lcsc.training.loop import train

Section = Mapping[str, Any]
STEPS, IMAGES = 30, 512
# Checkpoints of the bank that is measured: enough for these bytes, so that they lie outside the caches.
BANK_BYTES, MOST_CHECKPOINTS = 1 << 27, 40
# A gradient's time in evaluations where nothing of a run takes gradients (measured: 3 to 5).
USUAL_FACTOR = 4.0


def measure_speeds(config: Section, run: str, device: torch.device, workers: int = 1) -> tuple[Speeds, int]:
    """The speeds of ``run`` of the resolved ``config`` on ``device``, and P, the parameters of its network.

    ``workers`` are those of a job that scores, which on the CPU share caches, memory and Python.

    Raises :class:`InputError` for a run with a generator of its own, whose weights only its bank knows, and for an
    extractor whose weights are not here.
    """
    settings = step_settings(config, run, "baselines")
    if "generator" in settings:
        raise InputError(f"runs.{run}.generator: found one, expected a network; `lcsc plan` cannot make its weights")
    threads = int(settings["threads"])
    clock = Stopwatch(device, threads)
    with tempfile.TemporaryDirectory(prefix="lcsc-plan-") as name, deterministic(threads), _silence():
        folder = Path(name)
        speeds, parameters = _measure(config, run, settings, clock, folder)
        if workers < 2 or device.type != "cpu":
            return speeds, parameters
        context = Context.open(settings, folder / "bank", device, workers)
        extractor = load_extractor(folder / f"{searched_name(config['runs'][run])}.safetensors", device)
        return replace(speeds, sharing=_sharing(context, extractor, workers)), parameters


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No progress of trainings that are made to be timed."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _measure(config: Section, run: str, settings: Section, clock: Stopwatch, folder: Path) -> tuple[Speeds, int]:
    section = config["runs"][run]
    part = _random_part(image_shape_of(settings), folder)
    parameters = _make_checkpoints(settings, folder / "run")
    collect(folder / "run", folder / "bank")
    context = Context.open(settings, folder / "bank", clock.device, 1)
    names = dict.fromkeys(section["extractors"].values())
    names |= dict.fromkeys(searched_name(section, entry) for entry in _along_gradients(section))
    classifiers = {name: _make_extractor(config, name, part, folder, clock) for name in names}
    extractors = {name: load_extractor(folder / f"{name}.safetensors", clock.device) for name in names}
    searched = extractors[searched_name(section)]
    weights = context.bank.checkpoint(0)
    chunk = min(context.chunk, _affordable(context, searched, weights, clock))
    evaluators = {n: _evaluator(context, searched, n, chunk) for n in (chunk, 4 * chunk)}
    fixed, image = clock.line(lambda n: evaluators[n].score(weights), chunk, 4 * chunk)
    searched_along = dict.fromkeys(searched_name(section, entry) for entry in _along_gradients(section))
    own = {name: _gradient_seconds(context, extractors[name], weights, chunk, clock) for name in searched_along}
    usual = next(iter(own.values()), (fixed, USUAL_FACTOR * image))
    gradient, slope = own.get(searched_name(section), usual)
    further = _extractor_seconds(extractors[section["extractors"]["held_out"]], image_shape_of(settings), chunk, clock)
    speeds = Speeds(
        begin=begin_seconds(),
        evaluation=fixed,
        image=image,
        extractor=further,
        gradient=gradient,
        gradient_image=slope,
        bank=_bank_bytes_per_second(context, clock),
        training=_training_seconds(config, run, part, folder, clock) if "train" in section else 0.0,
        classifiers=classifiers,
        own=own,
    )
    return speeds, parameters


def _sharing(context: Context, extractor: Extractor, workers: int) -> float:
    """What is left of a worker's speed where all score at once, by the clock."""
    evaluator, weights = _evaluator(context, extractor, context.chunk, context.chunk), context.bank.checkpoint(0)

    def seconds(count: int) -> float:
        began = time.perf_counter()
        context.workers.map(lambda _: evaluator.score(weights), range(2 * count))
        return time.perf_counter() - began

    seconds(workers)
    together = min(seconds(workers) for _ in range(TRIES))
    began = time.perf_counter()
    evaluator.score(weights)
    evaluator.score(weights)
    return min(1.0, (time.perf_counter() - began) / together)


def _gradient_seconds(
    context: Context, extractor: Extractor, weights: np.ndarray[Any, Any], chunk: int, clock: Stopwatch
) -> tuple[float, float]:
    """A gradient of the distance by ``extractor`` beside its images, and each of these."""
    evaluators = {n: GradientEvaluator.of(_evaluator(context, extractor, n, chunk)) for n in (chunk, 4 * chunk)}
    return clock.line(lambda n: evaluators[n].value_and_gradient(weights), chunk, 4 * chunk)


def _along_gradients(section: Section) -> list[Section]:
    searches = [entry for entry in section["searches"].values() if entry["method"] == "gradient"]
    return [*searches, *(section["fine_tune"] or {}).values()]


def _random_part(shape: tuple[int, ...], folder: Path) -> Part:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(IMAGES, *shape), dtype=np.uint8)
    labels = np.arange(IMAGES) % 10
    return Part(images, labels, np.arange(IMAGES), "train", "random", "0" * 64, folder / "random.npz")


def _make_checkpoints(settings: Section, folder: Path) -> int:
    """Random checkpoints, as many as :data:`BANK_BYTES` hold; returns P."""
    state = {name: value.detach() for name, value in build_network(settings["network"], seed=0).state_dict().items()}
    parameters: int = sum(value.numel() for value in state.values() if value.is_floating_point())
    count = min(max(BANK_BYTES // (4 * parameters), 2), MOST_CHECKPOINTS)
    for step in range(1, count + 1):
        moved = {
            name: value * (1 + step / 1000) if value.is_floating_point() else value for name, value in state.items()
        }
        format_named("safetensors").write(folder / f"step-{step}.safetensors", moved, {"step": str(step)})
    return parameters


def _make_extractor(config: Section, name: str, part: Part, folder: Path, clock: Stopwatch) -> float:
    """Write the extractor ``name``, trained for a few steps where it is trained; returns the seconds of a step."""
    settings, path = step_settings(config, None, "extractor", name=name), folder / f"{name}.safetensors"
    if settings["kind"] != "classifier":
        weights = layout.weights_path(config, name)
        make_extractor(settings, path, None if weights is None else Path(weights))
        return 0.0

    def trained(steps: int) -> None:
        train_extractor({**settings, "steps": steps}, part, path, device=clock.device)

    return clock.line(trained, STEPS, 4 * STEPS)[1]


def _evaluator(context: Context, extractor: Extractor, images: int, chunk: int) -> Evaluator:
    real = np.random.default_rng(0).normal(size=(2 * extractor.dimension + 2, extractor.dimension))
    return Evaluator(
        context.workers, extractor, Reference.of(feature_statistics(real)), context.noise("search", 0, images), chunk
    )


def _affordable(context: Context, extractor: Extractor, weights: np.ndarray[Any, Any], clock: Stopwatch) -> int:
    """A chunk that takes a second or so: all of the protocol's on fast networks, fewer images on slow ones."""
    few = 8
    evaluator = _evaluator(context, extractor, few, few)
    evaluator.score(weights)
    took = clock(lambda: evaluator.score(weights))
    return max(few, int(few / max(took, 1e-6)))


def _extractor_seconds(extractor: Extractor, shape: tuple[int, ...], chunk: int, clock: Stopwatch) -> float:
    images = torch.rand((chunk, *shape), device=clock.device) * 2 - 1

    def measured() -> object:
        with torch.inference_mode():
            return extractor(images).cpu()

    measured()
    return clock(measured) / chunk


def _bank_bytes_per_second(context: Context, clock: Stopwatch) -> float:
    bank, block = context.bank, context.block
    rows = np.random.default_rng(0).normal(size=(block, 1, bank.K))
    combine(bank, rows)
    return 4.0 * bank.K * bank.P * block / clock(lambda: combine(bank, rows))


def _training_seconds(config: Section, run: str, part: Part, folder: Path, clock: Stopwatch) -> float:
    """A step of the run's training, with its averages."""
    settings = step_settings(config, run, "train")
    teacher = folder / "run" / "step-1.safetensors" if settings["train"]["recipe"] == "distillation" else None

    def trained(steps: int) -> None:
        options = {**settings["train"], "steps": steps, "save_from": steps, "save_every": 1}
        train({**settings, "train": options}, part, folder / "trained", "constant", clock.device, teacher)

    return clock.line(trained, STEPS, 4 * STEPS)[1]
