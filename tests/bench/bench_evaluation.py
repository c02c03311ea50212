"""Where an evaluation's time goes, on the main job's network and extractor, and what two shards on two cores give.

Run it by `make bench`. Network and extractor are timed within evaluations, the fastest of some, other parts alone, by
the processor's time of one thread; shards by the clock, so that ratio means little where other work runs.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_gradient import MAIN, make_bank, make_evaluator
from numpy.typing import NDArray

from lcsc.bank.combination import combine
from lcsc.data import quantise
from lcsc.evaluation import Evaluator, Workers, score_features
from lcsc.runtime import deterministic

IMAGES, CHUNK, BLOCK, TURNS, SHARE = 2000, 500, 5, 7, 40


def fewest(work: Callable[[], object]) -> float:
    """The fewest seconds of the processor that ``work`` takes, after one try that counts for nothing."""
    found = []
    for turn in range(TURNS + 1):
        began = time.process_time()
        work()
        found += [time.process_time() - began] if turn else []
    return min(found)


class Timed:
    """A callable that adds up the processor's seconds within it, where it stands in a whole evaluation."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work, self.seconds = work, 0.0

    def __call__(self, *arguments: Any) -> Any:
        """What ``work`` gives."""
        began = time.process_time()
        result = self.work(*arguments)
        self.seconds += time.process_time() - began
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.work, name)


def evaluation_parts(evaluator: Evaluator, weights: NDArray[np.float32]) -> dict[str, float]:
    """Seconds of the fastest of some evaluations, and those that network and extractor took within it."""
    turns = []
    for _ in range(TURNS + 1):
        with evaluator.workers.generator() as taken:
            network = Timed(taken)
        workers = Workers(lambda made=network: made, 1)
        extractor = Timed(evaluator.extractor)
        timed = replace(evaluator, workers=workers, extractor=extractor)
        began = time.process_time()
        timed.score(weights)
        whole = time.process_time() - began
        turns.append({"network and sampler": network.seconds, "extractor": extractor.seconds, "all": whole})
    return min(turns[1:], key=lambda turn: turn["all"])


def bench_parts() -> None:
    """Print the share of an evaluation outside network and extractor, and what is known to lie there."""
    with tempfile.TemporaryDirectory() as folder, deterministic(1), torch.inference_mode():
        bank = make_bank(Path(folder), MAIN)
        evaluator = make_evaluator(bank, MAIN, "consistency", 1, IMAGES, CHUNK)
        rows = np.random.default_rng(0).normal(size=(BLOCK, 1, bank.K))
        weights, noise = bank.checkpoint(0), evaluator.noise
        starts = range(0, IMAGES, CHUNK)
        parts = evaluation_parts(evaluator, weights)
        with evaluator.workers.generator() as generator:
            draws = [noise.chunk(start, start + CHUNK) for start in starts]
            made = [generator(draw.arrays, draw.labels) for draw in draws]
            features = np.concatenate([evaluator.extractor(quantise(chunk)).numpy() for chunk in made])
            parts |= {
                "combining checkpoints": fewest(lambda: combine(bank, rows)) / BLOCK,
                "weights into place": fewest(lambda: generator.load(weights)),
                "noise": fewest(lambda: [noise.chunk(start, start + CHUNK) for start in starts]),
                "rounding to bytes": fewest(lambda: [quantise(chunk) for chunk in made]),
                "statistics and distance": fewest(lambda: score_features(features, evaluator.reference)),
            }
    whole = parts.pop("all") + parts["combining checkpoints"]
    for name, seconds in parts.items():
        print(f"{name:58s} {1000 * seconds:10.2f} ms {seconds / whole:8.1%}")
    outside = 1 - (parts["network and sampler"] + parts["extractor"]) / whole
    print(f"{'an evaluation, all of it':58s} {1000 * whole:10.2f} ms")
    print(f"{'outside network and extractor (target: at most 15 %)':58s} {outside:22.1%}", flush=True)


def shard(evaluations: int, gate: Any, took: Any) -> None:
    """Score ``evaluations`` times on one thread, once all processes are ready."""
    with tempfile.TemporaryDirectory() as folder, deterministic(1):
        bank = make_bank(Path(folder), MAIN)
        evaluator = make_evaluator(bank, MAIN, "consistency", 1, IMAGES, CHUNK)
        evaluator.score(bank.checkpoint(0))
        gate.wait()
        began = time.perf_counter()
        for place in range(evaluations):
            evaluator.score(bank.checkpoint(place % bank.K))
        took.put(time.perf_counter() - began)


def seconds_of(processes: int) -> float:
    """The seconds that :data:`SHARE` evaluations take, shared by so many processes."""
    context = multiprocessing.get_context("spawn")
    gate, took = context.Barrier(processes), context.Queue()
    running = [context.Process(target=shard, args=(SHARE // processes, gate, took)) for _ in range(processes)]
    for process in running:
        process.start()
    found = [took.get() for _ in running]
    for process in running:
        process.join()
    return max(found)


def bench_shards() -> None:
    """Print what two shards give over one."""
    pairs = [(seconds_of(1), seconds_of(2)) for _ in range(3)]
    best = [min(times) for times in zip(*pairs, strict=True)]
    label = "two evaluation shards on two cores (target: at least 1.7x)"
    print(f"{label:58s} {best[0]:9.2f} s {best[1]:9.2f} s {best[0] / best[1]:8.2f}x", flush=True)


if __name__ == "__main__":
    bench_parts()
    bench_shards()
