"""Memory and time that jobs ask a scheduler for, from the sizes in the configuration: what they must stay below.

These are limits, not forecasts (``lcsc plan`` makes those): generous, and raised with each further try. The number of
parameters is the bank's as soon as there is one, before that what ``resources.parameters`` of the run says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lcsc.bank.memory import SHARE, resident_bytes, streamed_bytes
from lcsc.plan import work
from lcsc.plan.work import Work

Section = Mapping[str, Any]
MB = 1 << 20
# Resident MB after imports, networks and all, with room; CUDA's libraries take more.
IMPORTED = {"cpu": 1200, "auto": 4000, "cuda": 4000}
# Bytes for each pixel of a chunk of images: activations of a network, and of an extractor that enlarges them.
PIXEL_BYTES = 4000
# The same for each value of an image as a published extractor enlarges it; its side, where the settings say none.
ENLARGED_BYTES, INCEPTION_SIDE = 64, 299
# Images that go through an extractor at once for statistics, and features of the widest extractor.
MEASURED_AT_ONCE, WIDEST = 512, 2048
# Images of a set that is not prepared yet.
USUAL_IMAGES = 50_000
CLASSIFIER = "classifier"  # the kind of extractors that are trained here, on images of their own size
# Bytes a second of a busy file system, and how often checkpoints go through it on their way into a bank.
DISK, PASSES = 50e6, 3
# Banks up to this size are to be kept in memory.
MOST_RESIDENT = 32 << 30
# Cores that shorten a step that scores.
MOST_CORES = 8
# A network whose size nobody knows yet.
USUAL_PARAMETERS = 10_000_000
# Images through one network evaluation and extractor in a second, where `resources.images_per_second` says nothing.
SLOWEST = {"cpu": 100.0, "auto": 100.0, "cuda": 200.0}
# A gradient takes about four evaluations of as many images; a training step three.
GRADIENT, TRAINING = 6.0, 3.0
# A distance and its slopes with 2,048 features, with room; and what jobs do besides, in minutes.
SECONDS_A_DISTANCE, BEGIN_MINUTES = 3.0, 20


def scoring_cores(cores: int | None, runs: int, threads: int) -> int:
    """Cores of a step that scores, each worker of ``threads``; no result depends on it.

    Many shorten the only run of a machine of ``cores``. Several runs share them instead: jobs side by side keep all
    cores busy while one of them begins or ends. Of a cluster (None) nothing is known.
    """
    share = MOST_CORES if cores is None else max(1, cores // runs)
    return max(min(share, MOST_CORES), threads)


def bank_sizes(index: Path, run: Section) -> tuple[int, int]:
    """(K, P): of the bank's ``index`` where there is one, else what the configuration expects of ``run``."""
    expected = (run.get("resources") or {}).get("parameters") or USUAL_PARAMETERS
    try:
        record = json.loads(index.read_text(encoding="utf-8"))
        return len(record["checkpoints"]), int(record["parameters"])
    except (OSError, ValueError, KeyError, TypeError):  # not there yet; the jobs that read it say what is wrong
        return work.checkpoints(run), int(expected)


def bank_mb(checkpoints: int, parameters: int, candidates: int = 1) -> float:
    """A bank in memory, with the room at which it is kept there; of one too large for most, what streaming takes."""
    resident = resident_bytes(checkpoints, parameters)
    if resident <= MOST_RESIDENT:
        return resident / SHARE / MB
    return streamed_bytes(candidates, parameters, checkpoints) / MB


def scoring_mb(run: Section, sizes: tuple[int, int], device: str, workers: int, *, gradients: bool = False) -> int:
    """A job that scores: imports, bank, candidates, a generator and a chunk of images for each worker, features."""
    checkpoints, parameters = sizes
    evaluation = run["evaluation"]
    shape = (run.get("network") or run["generator"])["image_shape"]
    workers = workers if device != "cuda" else 1
    chunk = evaluation["chunk"] * math.prod(shape) * PIXEL_BYTES / MB
    weights = 4 * parameters / MB
    images = max(evaluation[key]["images"] for key in ("search", "selection", "report"))
    features = 2 * 12 * 2048 * images / MB if _wide(run) else 0.0
    found: float = IMPORTED[device] + bank_mb(checkpoints, parameters, evaluation["candidates_per_block"]) + features
    found += workers * (chunk + weights * (1 + evaluation["candidates_per_block"]))
    if gradients:  # sums in float64 of each worker and along the tree, and the gradient of each tensor
        found += weights * (2 * (workers + 5) + workers)
    return math.ceil(found)


def _wide(run: Section) -> bool:
    return "train" not in run


def training_mb(run: Section, device: str, parameters: int) -> int:
    """A training: weights, optimiser, averages, and a batch."""
    train, shape = run["train"], (run.get("network") or run["generator"])["image_shape"]
    copies: int = 6 + len(train["ema_rates"]) + 2 * len(train.get("power_ema") or ())
    batch: float = train["batch"] * math.prod(shape) * PIXEL_BYTES / MB
    return math.ceil(IMPORTED[device] + 4 * copies * parameters / MB + batch)


def collecting_mb(parameters: int) -> int:
    """Collecting or exporting: a few checkpoints at a time."""
    return math.ceil(IMPORTED["cpu"] + 4 * 6 * parameters / MB)


def collecting_minutes(checkpoints: int, parameters: int) -> int:
    """Minutes to collect a bank or to export from one: each checkpoint is read, checked and written."""
    return BEGIN_MINUTES + math.ceil(PASSES * 4 * checkpoints * parameters / DISK / 60)


def image_count(images: Path, shape: Sequence[int]) -> int:
    """Images of ``shape`` in a part's file, a byte for each value; a usual number while it is not there yet."""
    try:
        return images.stat().st_size // math.prod(shape)
    except OSError:
        return USUAL_IMAGES


def reference_mb(extractor: Section, images: int, shape: Sequence[int], device: str) -> int:
    """Statistics of features: those of all images, twice, and some matrices in float64; a chunk in the extractor."""
    values = math.prod(shape)
    width = extractor["dimension"] + values if extractor["kind"] == CLASSIFIER else WIDEST
    chunk = MEASURED_AT_ONCE * _extractor_bytes(extractor, values)
    return math.ceil(IMPORTED[device] + (2 * 4 * images * width + 6 * 8 * width**2 + chunk) / MB)


def reference_minutes(images: int, device: str) -> int:
    """Minutes to measure ``images``, also by the exact extractor where a variant is measured."""
    return BEGIN_MINUTES + math.ceil(2 * images / SLOWEST[device] / 60)


def extractor_mb(extractor: Section, images: int, shape: Sequence[int], device: str) -> int:
    """Training an extractor: all images as float32, twice on their way to the device, and a batch."""
    values = math.prod(shape)
    found: float = 2 * 4 * images * values + extractor["batch"] * values * PIXEL_BYTES
    return math.ceil(IMPORTED[device] + found / MB)


def extractor_minutes(extractor: Section, device: str) -> int:
    """Minutes to train an extractor."""
    seconds: float = TRAINING * extractor["steps"] * extractor["batch"] / SLOWEST[device]
    return BEGIN_MINUTES + math.ceil(seconds / 60)


def _extractor_bytes(extractor: Section, values: int) -> int:
    """Bytes of activations for an image of so many ``values``; most extractors enlarge it to a side of their own."""
    if extractor["kind"] == CLASSIFIER:
        return PIXEL_BYTES * values
    return ENLARGED_BYTES * 3 * int(extractor.get("size", INCEPTION_SIDE)) ** 2


def rate(run: Section, device: str) -> float:
    """Images made and measured in a second, at least."""
    given = (run.get("resources") or {}).get("images_per_second")
    return float(given) if given else SLOWEST[device] / work.network_evaluations(run)


def minutes(run: Section, device: str, done: Work) -> int:
    """Minutes that ``done`` may take."""
    images = done.made * done.measures + GRADIENT * done.carried_back
    seconds: float = images / rate(run, device) + SECONDS_A_DISTANCE * (
        done.evaluations * done.measures + done.gradients
    )
    return BEGIN_MINUTES + math.ceil(seconds / 60)


def training_minutes(run: Section, device: str, steps: int) -> int:
    """Minutes that ``steps`` of a training may take; each image goes through the network once forth and back."""
    seconds: float = TRAINING * steps * run["train"]["batch"] / SLOWEST[device]
    return BEGIN_MINUTES + math.ceil(seconds / 60)
