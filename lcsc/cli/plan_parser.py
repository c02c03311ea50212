"""The parser of ``lcsc plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lcsc.cli.parsers import command, whole


def add_plan(commands: Any) -> None:
    """Add the parser of ``lcsc plan``."""
    text = "measure each stage of a run here for some seconds, and print what it takes here and on GPUs"
    parser = command(commands, "plan", text, settings=False)
    parser.set_defaults(run="lcsc.cli.plan_step:plan")
    parser.add_argument("config", type=Path, help="a configuration file (YAML)")
    parser.add_argument("--run", dest="run_name", metavar="NAME", help="the run's name, where there are several")
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "cuda"], help="to measure on; default: auto"
    )
    parser.add_argument("--cores", type=whole(1), metavar="N", help="cores of this machine to plan for; default: all")
    parser.add_argument("--checkpoints", type=whole(2), metavar="K", help="K, where the configuration does not say it")
    parser.add_argument("--gpus", type=whole(1), metavar="N", help="plan for so many GPUs, too")
    text = "images that one of these makes and measures in a second, with all network evaluations"
    parser.add_argument("--images-per-second", type=float, metavar="X", help=text)
    parser.add_argument("--json", action="store_true", help="print JSON")
