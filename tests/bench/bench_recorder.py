"""What a recorder's save costs: time that the training waits, time until it is on the disk, and bytes.

Run it by `make bench-recorder`. Each size's ways take turns; beside them `torch.save` of the same state dict, which
training code does in the same place.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from lcsc.runtime import limit_threads_before_imports

limit_threads_before_imports(1)

import torch  # noqa: E402
from torch import nn  # noqa: E402

from lcsc.bank.writer import CHAIN  # noqa: E402
from lcsc.training.recorder import Recorder  # noqa: E402

SIZES = {0.5: (8, 250), 35: (35, 1000)}  # millions of parameters: layers and width


def model_of(layers: int, width: int) -> nn.Module:
    """Square layers, about layers x width^2 parameters."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(layers)))


def move(model: nn.Module) -> None:
    """A training step, as far as a recorder sees one: each weight moves by a thousandth."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.001)


def seconds(work: Callable[[], object]) -> float:
    """What ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bench(millions: float, layers: int, width: int) -> None:
    """One size: a whole chain of saves for each storage, in turn with torch.save."""
    model = model_of(layers, width)
    count = sum(parameter.numel() for parameter in model.parameters())
    waits: dict[str, list[float]] = {}
    wholes: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        recorders = {storage: Recorder(place / storage, storage=storage) for storage in ("float32", "differences")}
        for step in range(1, CHAIN + 1):
            move(model)
            for storage, recorder in recorders.items():
                waited = seconds(lambda: recorder.save(step, model))  # noqa: B023
                waits.setdefault(storage, []).append(waited)
                wholes.setdefault(storage, []).append(waited + seconds(recorder.flush))
            path = place / f"step-{step}.pt"
            saved = seconds(lambda: torch.save(model.state_dict(), path))  # noqa: B023
            for table in (waits, wholes):
                table.setdefault("torch.save", []).append(saved)
            size = path.stat().st_size
            path.unlink()
        for recorder in recorders.values():
            recorder.close()
        sizes = {name: sum(p.stat().st_size for p in (place / name).iterdir()) / CHAIN for name in recorders}
    for name in ("float32", "differences", "torch.save"):
        bytes_ = sizes.get(name, size)
        print(
            f"P = {count / 1e6:5.1f} M  {name:12s} {1000 * median(waits[name][1:]):9.1f} ms"
            f" {1000 * median(wholes[name][1:]):9.1f} ms {bytes_ / 1e6:9.2f} MB {bytes_ / count:6.2f} bytes a value"
        )


def main() -> None:
    """Print all sizes."""
    print(f"{'':25s} {'training waits':>12s} {'on disk after':>12s} {'a save':>9s}")
    for millions, (layers, width) in SIZES.items():
        bench(millions, layers, width)


if __name__ == "__main__":
    main()
