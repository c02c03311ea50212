"""The command line: one subcommand for each step of the workflow.

Only the parser stands here, so that ``lcsc --help`` answers at once; a step imports what it needs when it runs.
Exit codes: 0 done, 1 the work failed, 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lcsc.cli.parsers import REPORT_STEPS, STEPS, command
from lcsc.cli.plan_parser import add_plan
from lcsc.cli.scoring_parsers import add_scoring

INTERRUPTED = 130
LIST = (
    "print what would be read from DIR, and write nothing: the format, all files that are chosen, each read and "
    "checked as collecting does, and their tensors"
)
MERGED = "the merged checkpoint: safetensors where it ends so, else in the run's own format"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from lcsc.cli.job_log import write_opening
    from lcsc.errors import LcscError
    from lcsc.progress import close_logging, logger, set_up_logging

    try:
        set_up_logging(options.label(options), options.log, options.quiet)
        write_opening(options)
        module, function = options.run.split(":")
        getattr(importlib.import_module(module), function)(options)
    except LcscError as error:
        logger.error("error: %s", " ".join(str(error).splitlines()))
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("interrupted")
        return INTERRUPTED
    except Exception as error:
        logger.exception("error: %s: %s", type(error).__name__, error)
        return 1
    finally:
        close_logging()
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    from lcsc import __version__

    parser = argparse.ArgumentParser(
        prog="lcsc",
        description="Search linear combinations of saved checkpoints (LCSC); one subcommand a step",
        epilog="Exit codes: 0 done, 1 the work failed, 2 the input is wrong.",
    )
    parser.add_argument("--version", action="version", version=f"lcsc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="STEP", title="steps")
    _add_making(commands)
    _add_bank(commands)
    add_scoring(commands)
    _add_merging(commands)
    _add_reporting(commands)
    add_plan(commands)
    return parser


def _add_making(commands: Any) -> None:
    parser = command(commands, "data", "prepare images: training and held-out part in files of their own")
    parser.add_argument("--output", type=Path, required=True, help="folder for train.npz and held-out.npz")
    parser = command(commands, "train", "train a small network, saving checkpoints and EMAs")
    parser.add_argument("--data", type=Path, required=True, help="training images (train.npz)")
    parser.add_argument("--schedule", choices=["constant", "decayed"], default="constant", help="of the learning rate")
    parser.add_argument("--teacher", type=Path, help="weights of a denoiser, for a distillation")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints, EMAs and manifest.json")
    parser = command(commands, "continue", "go on with a training from the state in which it ended")
    parser.set_defaults(run=f"{STEPS}:continue_training")
    parser.add_argument("--data", type=Path, required=True, help="training images (train.npz)")
    parser.add_argument("--training", type=Path, required=True, help="folder of the training at the constant rate")
    parser.add_argument("--output", type=Path, required=True, help="folder for last weights, EMAs and manifest.json")
    parser = command(commands, "extractor", "make a feature extractor's file; a classifier is trained on images")
    parser.add_argument("--data", type=Path, help="training images (train.npz), for one that is trained")
    parser.add_argument("--weights", type=Path, help="the file of its weights, for inception and dinov2")
    parser.add_argument("--output", type=Path, required=True, help="the extractor's file (.safetensors)")
    text = "download the weights of an extractor, check them, and write nothing else; the one step that has a network"
    parser = command(commands, "fetch", text, settings=False)
    parser.add_argument("name", help="inception-2015-12-05.pt or pt_inception-2015-12-05-6726825d.pth")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser = command(commands, "reference", "compute the statistics of real images, or check published ones")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, help="train.npz or held-out.npz")
    source.add_argument(
        "--published", choices=["train", "held-out"], help="the part that the settings' statistics are of"
    )
    parser.add_argument("--extractor", type=Path, required=True, help="the extractor's file")
    parser.add_argument("--output", type=Path, required=True, help="the statistics' file (.h5)")


def _add_bank(commands: Any) -> None:
    parser = command(commands, "collect", "validate a run's checkpoints and write them to a bank")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--folder", type=Path, help="the folder of the run's checkpoints")
    what.add_argument("--list", type=Path, metavar="DIR", help=LIST)
    parser.add_argument("--output", type=Path, help="the bank's folder")
    choice = parser.add_argument_group("what is read", "in place of the settings' checkpoints.KEY")
    choice.add_argument("--format", metavar="FAMILY", help="the family of files, such as openai or plain")
    choice.add_argument("--track", help="raw, ema_0.9999 or another that the folder has")
    choice.add_argument("--pattern", metavar="GLOB", help="which files")
    choice.add_argument("--state-key", metavar="KEY", help="where the weights are within a nested file")
    choice.add_argument("--trust-pickle", action="store_true", default=None, help="read EDM's pickled modules")


def _add_merging(commands: Any) -> None:
    parser = command(commands, "export", "write the merged checkpoint of the best search")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--selection", type=Path, nargs="+", required=True, help="selection.json of each search")
    parser.add_argument("--output", type=Path, required=True, help="the merged checkpoint (.safetensors)")
    parser.add_argument("--native", type=Path, metavar="DIR", help="write it here in the run's own format, too")
    parser.add_argument("--recipe", type=Path, required=True, help="its recipe (JSON)")
    parser = command(commands, "merge", "make a merged checkpoint again from its recipe", settings=False)
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json, or a merged checkpoint that has one")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help=MERGED)
    parser.add_argument("--source", type=Path, metavar="DIR", help="the run's own folder, where it was moved")


def _add_reporting(commands: Any) -> None:
    parser = command(commands, "report", "draw figures and write the report page of a run")
    parser.set_defaults(run=f"{REPORT_STEPS}:report")
    parser.add_argument("--evaluation", type=Path, required=True)
    parser.add_argument("--baselines", type=Path, required=True)
    parser.add_argument("--selection", type=Path, nargs="+", required=True)
    parser.add_argument("--generations", type=Path, nargs="+", required=True, help="of all searches")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--timings", type=Path, nargs="+", required=True)
    parser.add_argument("--landscapes", type=Path, nargs="+", default=[], help="of the run, if it has any")
    text = "a configuration file that the workflow was given; named in the page, as are the next three"
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help=text)
    parser.add_argument("--bank", type=Path, required=True, help="its index names the tensors, too")
    parser.add_argument("--recipe", type=Path, required=True, help="the merged checkpoint's recipe")
    parser.add_argument("--merged", type=Path, required=True, help="the merged checkpoint")
    parser.add_argument("--figures", type=Path, required=True, help="folder for figures and tables")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    parser = command(commands, "compare", "compare runs that differ by their training seed", settings=False)
    parser.set_defaults(run=f"{REPORT_STEPS}:compare")
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="results folders of runs")
    parser.add_argument("--output", type=Path, help="write the comparison as JSON, too")
    text = "draw what methods reached over work and seconds, and print what they cost, over runs with traces"
    parser = command(commands, "curves", text, settings=False)
    parser.set_defaults(run=f"{REPORT_STEPS}:curves")
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="results folders of runs, with trace.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for curves.{svg,png,csv}, costs.{txt,csv}")
    parser = command(commands, "figures", "draw the figures of a configuration over its runs, and check its claims")
    parser.set_defaults(run="lcsc.cli.paper_steps:figures")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where the runs are; default: results")
    parser.add_argument("--output", type=Path, required=True, help="folder for figures, paper.md, report.html")
    text = "a configuration file that the workflow was given; named in the pages; default: --config"
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help=text)
    parser.add_argument("--benchmarks", type=Path, help="where Snakemake's benchmarks are, for a table of times")
    _add_views(commands)
    parser = command(commands, "settings", "print the settings of a step", settings=False)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", dest="run_name", metavar="NAME", required=True)
    parser.add_argument("--step", required=True, help="the step's name, such as train")
    parser.add_argument("--name", help="the entry's name, where a run has several")
    parser = command(commands, "verify", "check that files are as they were written, byte for byte", settings=False)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a file, a bank, a run's folder, results/")


def _add_views(commands: Any) -> None:
    text = "show how far runs are, from their files: also while a cluster works on them"
    parser = command(commands, "status", text, settings=False)
    parser.set_defaults(run="lcsc.cli.status_step:status")
    parser.add_argument("runs", type=Path, nargs="*", metavar="DIR", help="results folders of runs; default: all")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where runs are; default: results")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="where their logs are; default: logs")
    text = "show it again every so many seconds until all is done; a live view on a terminal"
    parser.add_argument("--watch", type=float, nargs="?", const=2.0, metavar="SECONDS", help=text)
    text = "run a command with the state of its runs in view: one live view on a terminal, its own lines elsewhere"
    parser = command(commands, "watch", text, settings=False)
    parser.set_defaults(run="lcsc.cli.status_step:watch")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where runs are; default: results")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="where their logs are; default: logs")
    text = "where the command's own lines go on a terminal; default: logs/watch.log"
    parser.add_argument("--said", type=Path, default=Path("logs/watch.log"), metavar="FILE", help=text)
    text = "seconds between two looks; default: 2"
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help=text)
