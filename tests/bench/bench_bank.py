"""Measures passes over a bank against the machine's own limits, and prints each figure with its target.

Run it by `make bench`, or alone with a folder on the disk to be measured: python tests/bench/bench_bank.py FOLDER.
Needs 5 GB there and 8 GB of memory. All threads are the machine's cores, at most four, for us and for what we are
compared with. Ways take turns, and the least time of each counts: a busy machine is slower, never faster.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lcsc.runtime import limit_threads_before_imports

limit_threads_before_imports(1)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from lcsc.bank import Bank, ResidentBank  # noqa: E402
from lcsc.bank.combination import combine  # noqa: E402
from lcsc.bank.combination_gradient import coefficient_gradient  # noqa: E402
from lcsc.bank.index import Storage, table_of  # noqa: E402
from lcsc.bank.writer import bank_writer  # noqa: E402

THREADS = min(4, len(os.sched_getaffinity(0)))
TURNS = 5

# What a fresh process grows by while it combines, in MB: at its peak, above what it has after the imports.
GROWTH = """
import sys
from pathlib import Path
import numpy as np
from lcsc.bank import Bank
from lcsc.bank.combination import combine
def status(key):
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(key))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
bank = Bank.open(sys.argv[1])
combine(bank, np.full((1, 1, bank.K), 1 / bank.K), threads=int(sys.argv[2]))
print((status("VmHWM") - before) / 1024)
"""


def least(*ways: Callable[[], object], turns: int = TURNS, before: Callable[[], None] = lambda: None) -> list[float]:
    """The least seconds of each way, run in turn; ``before`` is done before each, outside the clock."""
    times = [math.inf] * len(ways)
    for _ in range(turns):
        for number, way in enumerate(ways):
            before()
            began = time.perf_counter()
            way()
            times[number] = min(times[number], time.perf_counter() - began)
    return times


def row(what: str, found: float, target: float, unit: str = "x", least_wanted: bool = True) -> None:
    """Print one figure beside its target."""
    good = found >= target if least_wanted else found <= target
    sign = "≥" if least_wanted else "≤"
    print(f"{what:78s} {found:8.2f} {unit:2s} {sign} {target:6.2f}   {'met' if good else 'MISSED'}", flush=True)


def make_bank(folder: Path, checkpoints: int, parameters: int, storage: Storage = "float32") -> Bank:
    """A bank of random walks."""
    rng = np.random.default_rng(0)
    vector, move = rng.standard_normal((2, parameters), dtype=np.float32)
    folder.mkdir(parents=True)
    with bank_writer(folder, checkpoints, storage=storage) as writer:
        for step in range(1, checkpoints + 1):
            vector = vector + np.float32(0.01) * np.roll(move, 1000 * step)
            writer.add(vector, step=step, source="x", sha256="")
        writer.finish(table_of([("w", (parameters,), "float32", "combined", ())]), {})
    return Bank.open(folder)


def rows_of(candidates: int, checkpoints: int) -> np.ndarray:
    """Random coefficients [M, 1, K] that sum to 1."""
    found = np.random.default_rng(1).standard_normal((candidates, 1, checkpoints))
    return found + (1 - found.sum(2, keepdims=True)) / checkpoints


def read_all(values: np.ndarray) -> None:
    """Read memory as fast as NumPy can on ``THREADS`` threads: a vector's inner product with itself."""
    parts = np.array_split(values.reshape(-1), THREADS)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda part: np.dot(part, part), parts))


def bench_resident(bank: ResidentBank) -> None:
    """One candidate against the memory's bandwidth, and many in one pass against many passes."""
    one, many = rows_of(1, bank.K), rows_of(32, bank.K)
    size = bank.weights.nbytes / 1e9
    alone, read = least(lambda: combine(bank, one, threads=THREADS), lambda: read_all(bank.weights))
    row(f"resident, one candidate: {size / alone:.1f} GB/s of {size / read:.1f} that can be read", read / alone, 0.75)
    (together,) = least(lambda: combine(bank, many, threads=THREADS), turns=3)
    row(f"32 candidates in one pass ({together:.2f} s) against 32 passes", 32 * alone / together, 4)
    slopes = np.random.default_rng(2).standard_normal(bank.P)
    (back,) = least(lambda: coefficient_gradient(bank, slopes), turns=3)
    print(f"    the gradient in the coefficients, one thread: {size / back:.1f} GB/s")


def forget(*paths: Path) -> None:
    """Have the system drop its cache of files."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def bench_streamed(bank: Bank) -> None:
    """One candidate from page cache and from the disk, against ``cat``."""
    segment, one = bank.path / bank.segment_file(0), rows_of(1, bank.K)
    size = segment.stat().st_size / 1e9

    def ours() -> None:
        combine(bank, one, threads=THREADS)

    def cat() -> None:
        with segment.open("rb") as file:
            subprocess.run(["cat"], stdin=file, stdout=subprocess.DEVNULL, check=True)

    for where, before, target in (("page cache", cat, 0.5), ("disk", lambda: forget(segment), 0.8)):
        seconds, plain = least(ours, cat, turns=TURNS, before=before)
        row(f"streamed from {where}: {size / seconds:.1f} GB/s of cat's {size / plain:.1f}", plain / seconds, target)


def bench_files(folder: Path, candidates: int = 8, checkpoints: int = 50, parameters: int = 5_000_000) -> None:
    """Candidates from disk, against loading every file from disk for each of them, as where memory holds none."""
    bank, rows = make_bank(folder / "bank", checkpoints, parameters), rows_of(candidates, checkpoints)
    paths = [folder / f"{k}.pt" for k in range(checkpoints)]
    for k, path in enumerate(paths):
        torch.save({"w": torch.from_numpy(bank.checkpoint(k))}, path)

    def drop() -> None:
        forget(*paths, bank.path / bank.segment_file(0))

    def plainly() -> None:
        for row_ in rows[:, 0]:
            drop()
            total = torch.zeros(parameters)
            for factor, path in zip(row_, paths, strict=True):
                total += float(factor) * torch.load(path, weights_only=True)["w"]

    ours, theirs = least(lambda: combine(bank, rows, threads=THREADS), plainly, turns=2, before=drop)
    row(f"{candidates} candidates from disk ({ours:.2f} s) against torch.load of every file", theirs / ours, 15)


def bench_states(candidates: int = 32, tensors: int = 500, size: int = 600, checkpoints: int = 50) -> None:
    """Candidates of a small network against sums over tensors of state dicts in Python."""
    weights = np.random.default_rng(3).standard_normal((checkpoints, tensors * size), dtype=np.float32)
    states = [
        {f"layer.{i}": tensor for i, tensor in enumerate(torch.from_numpy(vector).split(size))} for vector in weights
    ]
    rows = rows_of(candidates, checkpoints)
    with tempfile.TemporaryDirectory() as folder:
        bank = make_bank(Path(folder) / "bank", checkpoints, tensors * size).resident()

    def plainly() -> None:
        for row_ in rows[:, 0]:
            {name: sum(float(a) * s[name] for a, s in zip(row_, states, strict=True)) for name in states[0]}

    ours, theirs = least(lambda: combine(bank, rows, threads=THREADS), plainly)
    what = f"{candidates} candidates, P = {tensors * size / 1e6:.1f} M in {tensors} tensors ({1000 * ours:.1f} ms)"
    row(f"{what} against state dicts", theirs / ours, 150)


def bench_growth(folder: Path, storage: Storage) -> None:
    """How much a process grows by that streams a bank of 4 GB."""
    bank = make_bank(folder, 50, 20_000_000, storage)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(bank.path), str(THREADS)], capture_output=True, text=True, check=True
    )
    what = f"memory above imports, streaming 4 GB of {storage}, one candidate (80 MB)"
    row(what, float(done.stdout), 300, "MB", least_wanted=False)


def bench_growth_of_time(folder: Path) -> None:
    """How time grows with the numbers of checkpoints and of parameters: the slope in logarithms."""
    for candidates in (1, 8):
        for name, sizes in (
            ("K = 20, 40, 80, 160", [(count, 2_000_000) for count in (20, 40, 80, 160)]),
            ("P x1, x4, x16", [(50, count) for count in (500_000, 2_000_000, 8_000_000)]),
        ):
            times = []
            for count, parameters in sizes:
                rng = np.random.default_rng(4)
                first = rng.standard_normal(parameters, dtype=np.float32)
                bank = ResidentBank(make_bank(folder / f"{count}-{parameters}-{candidates}", 1, 64), first[None])
                bank.K, bank.P, bank.base_row = count, parameters, count - 1
                bank.weights = np.stack([np.roll(first, k) for k in range(count)])
                rows = rows_of(candidates, count)
                (seconds,) = least(lambda bank=bank, rows=rows: combine(bank, rows, threads=THREADS))
                times.append(seconds)
            values = [math.log(max(pair)) if name[0] == "P" else math.log(pair[0]) for pair in sizes]
            exponent = float(np.polyfit(values, np.log(times), 1)[0])
            row(f"time for {name}, {candidates} candidate(s): exponent", exponent, 1.05, "", least_wanted=False)


def main() -> None:
    """Print all figures."""
    print(f"{'bank, threads: ' + str(THREADS):78s} {'found':>8s}    {'target':>8s}")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        bench_states()
        bank = make_bank(folder / "bank", 50, 10_000_000)
        bench_streamed(bank)
        bench_resident(bank.resident())
        (bank.path / bank.segment_file(0)).unlink()
        bench_files(folder / "files")
        for path in (folder / "files").rglob("*.*"):
            path.unlink()
        bench_growth_of_time(folder / "time")
        for storage in ("float32", "differences"):
            bench_growth(folder / storage, storage)
            (folder / storage / "segment-0000.h5").unlink()


if __name__ == "__main__":
    main()
