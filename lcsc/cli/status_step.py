"""What ``lcsc status`` does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lcsc.errors import InputError
from lcsc.status.live import run_in_view
from lcsc.status.reading import runs_in
from lcsc.status.words import show
from lcsc.status.words import watch as show_again


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
        show_again(runs, options.logs, options.watch)
    except KeyboardInterrupt:
        print()


def watch(options: argparse.Namespace) -> None:
    """``lcsc watch``; ends with the command's exit code."""

    def state() -> str:
        found = runs_in(options.results) if options.results.is_dir() else []
        return show(found, options.logs) if found else "no run has begun yet"

    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise InputError("lcsc watch: found no command, expected one, such as: lcsc watch -- snakemake --cores all")
    raise SystemExit(run_in_view(words, state, options.said, options.every))
