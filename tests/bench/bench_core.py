"""Times the Fréchet distance against clean-fid's, in one run, on one thread.

Run it by `make bench`. Each row's two ways take turns, so that the ratio holds where the machine's speed drifts, and
what counts is the processor's time, so that it holds where other work runs beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from lcsc.runtime import limit_threads_before_imports

limit_threads_before_imports(1)

import numpy as np  # noqa: E402
import scipy.linalg  # noqa: E402
from cleanfid import fid  # noqa: E402

from lcsc.metrics.frechet import Reference, feature_statistics, frechet_distance  # noqa: E402
from lcsc.runtime import deterministic  # noqa: E402

TURNS = 3


def in_turn(ours: Callable[[], object], other: Callable[[], object], turns: int = TURNS) -> tuple[float, float]:
    """Median seconds of each, run in turn after one warm-up of ours, and of the other's where it is short."""
    times: tuple[list[float], list[float]] = [], []
    for turn in range(turns + 1):
        for work, taken in zip((ours, other), times, strict=True):
            if not turn and work is other and turns < TURNS:
                continue
            began = time.process_time()
            work()
            if turn:
                taken.append(time.process_time() - began)
    return median(times[0]), median(times[1])


def row(what: str, seconds: tuple[float, float]) -> None:
    """Print one comparison."""
    ours, other = seconds
    print(f"{what:58s} {1000 * ours:10.1f} ms {1000 * other:10.1f} ms {other / ours:8.1f}x")


def by_clean_fid(features: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """clean-fid's distance, with the meaning of ``sqrtm(disp=)`` given back where SciPy has dropped it."""
    original = scipy.linalg.sqrtm
    fid.linalg.sqrtm = lambda matrix, disp=True: (original(matrix), 0.0)
    try:
        found = fid.frechet_distance(features.mean(0), np.cov(features, rowvar=False), mean, covariance)
    finally:
        fid.linalg.sqrtm = original
    return float(found)


def bench_distance(dimension: int, count: int) -> None:
    """Features to distance with a cached reference; features of images are correlated, and so are these."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(dimension, dimension)) * np.arange(1, dimension + 1) ** -0.5
    statistics = feature_statistics(rng.normal(size=(4 * dimension, dimension)) @ mixing)
    reference, features = Reference.of(statistics), 1.1 * rng.normal(size=(count, dimension)) @ mixing
    found: dict[str, float] = {}

    def ours() -> None:
        found["ours"] = frechet_distance(features, reference)

    def theirs() -> None:
        found["theirs"] = by_clean_fid(features, statistics.mean, statistics.covariance)

    row(
        f"distance, {dimension} features x {count:,} images, against clean-fid",
        in_turn(ours, theirs, TURNS if dimension < 1000 else 1),
    )
    print(f"{'':4s}relative difference {abs(found['ours'] / found['theirs'] - 1):.1e}", flush=True)


def main() -> None:
    """Print all comparisons."""
    print(f"{'':58s} {'lcsc':>13s} {'clean-fid':>13s} {'ratio':>9s}")
    with deterministic(1):
        for dimension, count in ((64, 1000), (1280, 1000), (2048, 1000), (2048, 10_000)):
            bench_distance(dimension, count)


if __name__ == "__main__":
    main()
