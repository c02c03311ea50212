"""What ``lcsc plan`` does: measure each stage here, and print what a run takes, here and on GPUs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lcsc.config import load_config
from lcsc.devices import device_of_job
from lcsc.errors import InputError
from lcsc.plan import work
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.plan.forecast import Forecast, Speeds


def plan(options: argparse.Namespace) -> None:
    """``lcsc plan``."""
    config = load_config(options.config)
    run = _run_of(options, config)
    limit_threads_before_imports(int(config["threads"]))
    from lcsc.plan.forecast import Forecast, Machine
    from lcsc.plan.speeds import measure_speeds

    device = device_of_job(options.device)
    logger.info("measuring each stage of %s on %s", run, device.type)
    cores = options.cores or len(os.sched_getaffinity(0))
    machine = Machine(f"here ({device.type}, {cores} cores)", cores, int(config["threads"]), runs=len(config["runs"]))
    here, parameters = measure_speeds(config, run, device, min(machine.workers, len(os.sched_getaffinity(0))))
    sizes = (work.checkpoints(config["runs"][run], options.checkpoints), parameters)
    machines = [(here, machine)]
    if device.type == "cuda":
        machines = [(here, Machine("here (1 GPU)", 1, gpus=True))]
    if options.gpus:
        speed = options.images_per_second
        named = f"{options.gpus} GPU{'s' if options.gpus > 1 else ''}, {speed:g} images/s each"
        machines.append((_at(here, speed), Machine(named, options.gpus, gpus=True)))
    forecasts = [Forecast(config, run, sizes, speeds, machine) for speeds, machine in machines]
    record = {"run": run, "checkpoints": sizes[0], "parameters": parameters, "gradient_factor": here.factor}
    record |= {"combined_bytes_per_second": here.bank, "plans": [forecast.record() for forecast in forecasts]}
    print(json.dumps(record, indent=1) if options.json else table(record, forecasts))


def _run_of(options: argparse.Namespace, config: dict[str, Any]) -> str:
    names = list(config["runs"])
    if options.run_name is None and len(names) > 1:
        raise InputError(f"--run: found none, expected one of {', '.join(names)}, since the configuration has several")
    if (options.images_per_second is None) != (options.gpus is None):
        raise InputError("--gpus, --images-per-second: found one of them, expected both or neither")
    if options.run_name not in (None, *names):
        raise InputError(f"--run: found {options.run_name!r}, expected one of {', '.join(names)}")
    return str(options.run_name or names[0])


def _at(here: Speeds, images_per_second: float) -> Speeds:
    """The speeds of a GPU that makes and measures so many images; what a gradient takes in them is as here."""
    scale = 1 / images_per_second / here.image
    classifiers = {name: scale * seconds for name, seconds in (here.classifiers or {}).items()}
    return replace(
        here,
        image=scale * here.image,
        extractor=scale * here.extractor,
        gradient_image=scale * here.gradient_image,
        own={name: (fixed, scale * image) for name, (fixed, image) in (here.own or {}).items()},
        training=scale * here.training,
        classifiers=classifiers,
    )


def table(record: dict[str, Any], forecasts: Sequence[Forecast]) -> str:
    """The plans side by side."""
    plans = record["plans"]
    size = plans[0]["bank_bytes"] / 1e9
    lines = [
        f"{record['run']}: K = {record['checkpoints']} checkpoints of P = {record['parameters']:,} parameters, "
        f"a bank of {size:.2f} GB in float32",
        f"a gradient takes {record['gradient_factor']:.1f} evaluations of as many images; "
        f"checkpoints are combined at {record['combined_bytes_per_second'] / 1e9:.1f} GB/s for each candidate",
        "",
        _row("", [plan["machine"] for plan in plans]),
        _row("images made and measured a second, one worker", [f"{plan['images_per_second']:,.0f}" for plan in plans]),
        _row("memory that a job asks for", [f"{plan['memory_mb'] / 1000:.1f} GB" for plan in plans]),
    ]
    for name in plans[0]["generation_seconds"]:
        lines.append(_row(f"a generation of {name}", [_time(plan["generation_seconds"][name]) for plan in plans]))
        lines.append(_row(f"the search {name}", [_time(plan["search_seconds"][name]) for plan in plans]))
    others = [name for name in plans[0]["job_seconds"] if name.startswith(("train-", "tune-", "base", "eval"))]
    lines += [_row(name, [_time(plan["job_seconds"][name]) for plan in plans]) for name in others]
    lines.append(_row("the whole pipeline", [_time(plan["pipeline_seconds"]) for plan in plans]))
    return "\n".join(lines)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:46s}" + "".join(f"{cell:>32s}" for cell in cells)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
