"""Measures what one exact gradient takes: peak memory by images and by sampling steps, and time by evaluations.

Run it by `make bench`. Memory is the peak of resident memory above its level after imports (bank, generator and noise
included), and above its level after all these were built; each measurement in a process of its own, without the
features of all images (4 D bytes each), which every distance needs. It should not grow with the images, nor with the
steps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from lcsc.runtime import limit_threads_before_imports

limit_threads_before_imports(1)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from lcsc.bank import Bank  # noqa: E402
from lcsc.checkpoints import format_named  # noqa: E402
from lcsc.collection import collect  # noqa: E402
from lcsc.evaluation import Evaluator, Workers  # noqa: E402
from lcsc.extractors import Extractor  # noqa: E402
from lcsc.extractors.classifier import build_body  # noqa: E402
from lcsc.generators import build_generator, build_network  # noqa: E402
from lcsc.gradients import GradientEvaluator  # noqa: E402
from lcsc.metrics.frechet import Reference, feature_statistics  # noqa: E402
from lcsc.noise import Noise  # noqa: E402
from lcsc.runtime import deterministic, release_freed_memory  # noqa: E402

SHAPE, DIMENSION, TURNS, CHECKPOINTS = (1, 8, 8), 32, 5, 20
PRECONDITIONING = {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
# Of the network whose activations are most of the memory, against that of the main job.
WIDE, MAIN = {"width": 1024, "depth": 2}, {"width": 256, "depth": 3}
FEW_IMAGES, MANY_IMAGES, FEW_STEPS, MANY_STEPS = 1000, 20_000, 2, 20


def sampler_settings(kind: str, steps: int) -> dict[str, Any]:
    """Preconditioning and sampler of one kind with ``steps`` noise levels."""
    if kind == "consistency":
        levels = np.geomspace(80.0, 0.1, steps) if steps > 1 else [80.0]
        sampler = {"kind": kind, "sigmas": [float(level) for level in levels]}
        return {"preconditioning": {"kind": kind, **PRECONDITIONING}, "sampler": sampler}
    return {"preconditioning": {"kind": "edm", **PRECONDITIONING}, "sampler": {"kind": kind, "steps": steps}}


def network_settings(size: dict[str, int]) -> dict[str, Any]:
    """A residual perceptron."""
    args = {"image_shape": list(SHAPE), **size}
    return {"factory": "lcsc.generators.networks:ResidualMLP", "args": args, "image_shape": list(SHAPE)}


def make_bank(folder: Path, size: dict[str, int]) -> Bank:
    """Checkpoints of random weights, in memory."""
    for step in range(1, CHECKPOINTS + 1):
        state = dict(build_network(network_settings(size), seed=step).state_dict())
        format_named("safetensors").write(folder / "run" / f"step-{step}.safetensors", state, {"step": str(step)})
    return collect(folder / "run", folder / "bank").resident()


def make_evaluator(bank: Bank, size: dict[str, int], kind: str, steps: int, images: int, chunk: int) -> Evaluator:
    """An evaluator with one worker and an extractor of random weights."""
    settings = {"network": network_settings(size), **sampler_settings(kind, steps)}
    pool = Workers(lambda: build_generator(settings, bank.tensors, bank.others()), 1)
    torch.manual_seed(0)
    body = build_body("cnn", SHAPE, DIMENSION).eval().requires_grad_(False)
    extractor = Extractor("cnn", DIMENSION, SHAPE, "none", body, torch.device("cpu"), {})
    real = np.random.default_rng(0).normal(size=(200, DIMENSION))
    with pool.generator() as generator:
        noise = Noise("search", 0, 0, images, generator.noise_shapes)
    return Evaluator(pool, extractor, Reference.of(feature_statistics(real)), noise, chunk)


def resident_mb(field: str) -> float:
    """A field of this process's status in MB: VmRSS is resident memory, VmHWM its peak."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def measure_memory(what: dict[str, Any]) -> tuple[float, float]:
    """The peak in MB of one gradient, above the level after imports and above that after building."""
    imported = resident_mb("VmRSS")
    with tempfile.TemporaryDirectory() as folder, deterministic(1):
        bank = make_bank(Path(folder), what["size"])
        gradients = GradientEvaluator.of(make_evaluator(bank, **what))
        weights = bank.checkpoint(0)
        release_freed_memory()
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far, of making the bank, is forgotten
        built = resident_mb("VmRSS")
        found = gradients.value_and_gradient(weights)
        assert found.gradient is not None
        peak = resident_mb("VmHWM") - 4 * DIMENSION * gradients.images / (1 << 20)
        return peak - imported, peak - built


def memory_of(**what: Any) -> tuple[float, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, json.dumps(what)]
    above_imports, above_building = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return above_imports, above_building


def memory_row(label: str, low: dict[str, Any], high: dict[str, Any], **common: Any) -> None:
    """Print two measurements and their ratio, above imports and above building."""
    levels = zip(memory_of(**common, **low), memory_of(**common, **high), strict=True)
    for name, (few, many) in zip((label, "  above imports and building"), levels, strict=True):
        print(f"{name:58s} {few:8.1f} MB {many:8.1f} MB {many / few:8.2f}x", flush=True)


def cost_row(kind: str, steps: int) -> None:
    """Print what a gradient takes in evaluations of as many images, run in turn."""
    with tempfile.TemporaryDirectory() as folder, deterministic(1):
        bank = make_bank(Path(folder), MAIN)
        evaluator = make_evaluator(bank, MAIN, kind, steps, 2000, 500)
        weights = bank.checkpoint(0)
        gradients = GradientEvaluator.of(evaluator)
        taken: tuple[list[float], list[float]] = [], []
        for turn in range(TURNS + 1):
            for place, work in enumerate((evaluator.score, gradients.value_and_gradient)):
                began = time.perf_counter()
                work(weights)
                if turn:
                    taken[place].append(time.perf_counter() - began)
    one, gradient = median(taken[0]), median(taken[1])
    label = f"{kind}, {steps} step{'s' if steps > 1 else ''}, 2,000 images in chunks of 500"
    print(f"{label:58s} {1000 * one:8.0f} ms {1000 * gradient:8.0f} ms {gradient / one:8.2f}x", flush=True)


def main() -> None:
    """Print all rows."""
    few, many = (f"n = {images:,}" for images in (FEW_IMAGES, MANY_IMAGES))
    print(f"{'peak memory of one gradient above imports':58s} {few:>11s} {many:>11s} {'ratio':>9s}")
    for kind, steps in (("consistency", 1), ("consistency", 2), ("heun", 3)):
        label = f"{kind}, {steps} step{'s' if steps > 1 else ''}, width {MAIN['width']}, chunks of 500"
        common: dict[str, Any] = {"size": MAIN, "kind": kind, "steps": steps, "chunk": 500}
        memory_row(label, {"images": FEW_IMAGES}, {"images": MANY_IMAGES}, **common)
    print(f"\n{'':58s} {f'{FEW_STEPS} steps':>11s} {f'{MANY_STEPS} steps':>11s} {'ratio':>9s}")
    for kind in ("consistency", "euler", "heun"):
        common = {"size": WIDE, "kind": kind, "chunk": 500, "images": FEW_IMAGES}
        label = f"{kind}, width {WIDE['width']}, chunks of 500, n = {FEW_IMAGES:,}"
        memory_row(label, {"steps": FEW_STEPS}, {"steps": MANY_STEPS}, **common)
    print(f"\n{'time':58s} {'evaluation':>11s} {'gradient':>11s} {'ratio':>9s}")
    for kind, steps in (("consistency", 1), ("consistency", 2), ("heun", 3)):
        cost_row(kind, steps)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure_memory(json.loads(sys.argv[1]))))
    else:
        main()
