"""What the parsers of all subcommands share: settings, logs and whole numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = "lcsc.cli.steps"
REPORT_STEPS = "lcsc.cli.report_steps"


def command(commands: Any, name: str, text: str, *, settings: bool = True) -> argparse.ArgumentParser:
    """The parser of a subcommand, with what all of them share, and its ``settings`` where it has any."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=f"{STEPS}:{name.replace('-', '_')}", label=_label)
    if settings:
        group = parser.add_argument_group("settings", "either --settings, or --config with --run")
        group.add_argument("--settings", metavar="JSON", help="the step's settings as JSON, or @FILE")
        group.add_argument("--config", type=Path, help="a configuration file (YAML)")
        group.add_argument("--run", dest="run_name", metavar="NAME", help="the run's name in the configuration")
        group.add_argument(
            "--name", help="the entry's name, where there are several (search, fine-tuning, extractor, data)"
        )
        group.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: auto")
    shared = parser.add_argument_group("output of the step itself")
    shared.add_argument("--log", type=Path, help="write a log with times to this file")
    shared.add_argument("--timing", type=Path, help="write seconds, evaluations and peak memory to this file (JSON)")
    shared.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    return parser


def whole(least: int) -> Callable[[str], int]:
    """A whole number of ``least`` or more, as an argument's type."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number, {least} or more")
        return int(text)

    return convert


def _label(options: argparse.Namespace) -> str:
    """What stands before each line of a step: its name, and the name of what it works on where that is known."""
    output = getattr(options, "output", None)
    parts = Path(output).parts if output else ()
    where = next((parts[i + 1] for i, part in enumerate(parts[:-1]) if part == "results"), "")
    return " ".join(part for part in (options.command, where if where != "shared" else "") if part)
