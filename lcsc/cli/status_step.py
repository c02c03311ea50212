"""What ``lcsc status`` does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lcsc.errors import InputError
from lcsc.status.reading import runs_in
from lcsc.status.words import show, watch


def status(options: argparse.Namespace) -> None:
    """``lcsc status``."""

    def runs() -> Sequence[Path]:
        found = options.runs or (runs_in(options.results) if options.results.is_dir() else [])
        if not found:
            raise InputError(f"{options.results}: found no runs; give the results folder of one, or --results")
        return list(found)

    if options.watch is None:
        print(show(runs(), options.logs))
        return
    try:
        watch(runs, options.logs, options.watch)
    except KeyboardInterrupt:
        print()
