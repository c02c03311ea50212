"""The command line: one subcommand for each step of the workflow.

Only the parser stands here, so that ``lcsc --help`` answers at once; a step imports what it needs when it runs.
Exit codes: 0 done, 1 the work failed, 2 the input is wrong.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

STEPS = "lcsc.cli.steps"
SCORING_STEPS = "lcsc.cli.scoring_steps"
SEARCH_STEPS = "lcsc.cli.search_steps"
TRACE_STEP = "lcsc.cli.trace_step"
INTERRUPTED = 130
LIST = (
    "print what would be read from DIR, and write nothing: all files that the settings choose (without settings: "
    "*.safetensors) and the tensors of the last one, the only file that is read whole"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from lcsc.errors import LcscError
    from lcsc.progress import close_logging, logger, set_up_logging

    try:
        set_up_logging(options.label(options), options.log, options.quiet)
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
    _add_scoring(commands)
    _add_merging(commands)
    _add_reporting(commands)
    return parser


def _command(commands: Any, name: str, text: str, *, settings: bool = True) -> argparse.ArgumentParser:
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


def _whole(least: int) -> Callable[[str], int]:
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


def _add_making(commands: Any) -> None:
    parser = _command(commands, "data", "prepare images: training and held-out part in files of their own")
    parser.add_argument("--output", type=Path, required=True, help="folder for train.npz and held-out.npz")
    parser = _command(commands, "train", "train a small network, saving checkpoints and EMAs")
    parser.add_argument("--data", type=Path, required=True, help="training images (train.npz)")
    parser.add_argument("--schedule", choices=["constant", "decayed"], default="constant", help="of the learning rate")
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints, EMAs and manifest.json")
    parser = _command(commands, "continue", "go on with a training from the state in which it ended")
    parser.set_defaults(run=f"{STEPS}:continue_training")
    parser.add_argument("--data", type=Path, required=True, help="training images (train.npz)")
    parser.add_argument("--training", type=Path, required=True, help="folder of the training at the constant rate")
    parser.add_argument("--output", type=Path, required=True, help="folder for last weights, EMAs and manifest.json")
    parser = _command(commands, "extractor", "train a feature extractor on training images")
    parser.add_argument("--data", type=Path, required=True, help="training images (train.npz)")
    parser.add_argument("--output", type=Path, required=True, help="the extractor's file (.safetensors)")
    parser = _command(commands, "reference", "compute the statistics of real images")
    parser.add_argument("--images", type=Path, required=True, help="train.npz or held-out.npz")
    parser.add_argument("--extractor", type=Path, required=True, help="the extractor's file")
    parser.add_argument("--output", type=Path, required=True, help="the statistics' file (.h5)")


def _add_bank(commands: Any) -> None:
    parser = _command(commands, "collect", "validate a run's checkpoints and write them to a bank")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--folder", type=Path, help="the folder of the run's checkpoints")
    what.add_argument("--list", type=Path, metavar="DIR", help=LIST)
    parser.add_argument("--output", type=Path, help="the bank's folder")


def _scoring(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser = _command(commands, name, text)
    parser.set_defaults(run=f"{SCORING_STEPS}:{name}")
    parser.add_argument("--bank", type=Path, required=True, help="the bank's folder or its index.json")
    parser.add_argument("--cores", type=_whole(1), default=1, metavar="N", help="cores to use; changes the time alone")
    return parser


def _measured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--extractor",
        type=Path,
        required=True,
        help="the extractor to measure by: for a search or a fine-tuning its own",
    )
    parser.add_argument("--reference", type=Path, required=True, help="its statistics of the training images")


def _warm_start(parser: argparse.ArgumentParser) -> None:
    text = "selection.json of the earlier search that the settings' warm_start names"
    parser.add_argument("--warm-start", type=Path, metavar="SELECTION", help=text)


def _add_scoring(commands: Any) -> None:
    parser = _scoring(commands, "baselines", "score averages and what training gives on selection noise")
    _measured(parser)
    parser.add_argument("--emas", type=Path, help="folder of true EMAs")
    parser.add_argument("--decayed", type=Path, help="folder of a training whose learning rate decayed to 0")
    parser.add_argument("--continued", type=Path, help="folder of a training that went on at its constant rate")
    parser.add_argument("--power", type=Path, help="folder of snapshots of power EMAs, for post-hoc EMAs")
    parser.add_argument("--tuned", type=Path, nargs="+", default=[], metavar="DIR", help="folders of fine-tunings")
    parser.add_argument("--output", type=Path, required=True, help="baselines.json")
    parser = _scoring(commands, "search", "run generations of a search")
    _measured(parser)
    _warm_start(parser)
    parser.add_argument("--first", type=_whole(0), default=0, help="the first generation to run")
    parser.add_argument("--count", type=_whole(1), required=True, help="how many generations to run")
    parser.add_argument("--output", type=Path, required=True, help="folder of the generations' files")
    text = "join these files of all shards of the generation's last stage, in place of scoring; needs --count 1"
    parser.add_argument("--shards", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    parser.set_defaults(run=f"{SEARCH_STEPS}:search")
    _add_shard(commands)
    _add_trace(commands)
    parser = _scoring(commands, "tune", "fine-tune all weights on the distance, at several learning rates")
    _measured(parser)
    parser.add_argument("--start", type=Path, metavar="SELECTION", help="selection.json of the search it starts from")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights and manifest.json")
    parser = _scoring(commands, "select", "score a search's finalists again on selection noise")
    _measured(parser)
    parser.add_argument("--generations", type=Path, nargs="+", required=True, help="all generations' files, in order")
    text = "the extractor that was searched, where it is another one, and its statistics: their distance is recorded"
    parser.add_argument("--searched", type=Path, nargs=2, metavar=("EXTRACTOR", "REFERENCE"), help=text)
    parser.add_argument("--output", type=Path, required=True, help="selection.json")
    parser = _scoring(commands, "evaluate", "the final evaluation on report noise")
    parser.add_argument("--baselines", type=Path, required=True)
    parser.add_argument("--selection", type=Path, nargs="+", required=True, help="selection.json of each search")
    parser.add_argument("--extractors", type=Path, nargs=2, required=True, help="searched and held-out extractor")
    parser.add_argument("--references", type=Path, nargs=4, required=True, help="both extractors, both parts")
    text = "extractors that single searches lowered the distance of, for what these keep of their gain"
    parser.add_argument("--searched", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    text = "their statistics of the training images, in the same order"
    parser.add_argument("--searched-references", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    parser.add_argument("--train-images", type=Path, required=True, help="train.npz")
    parser.add_argument("--held-out-images", type=Path, required=True, help="held-out.npz")
    parser.add_argument("--samples", type=Path, required=True, help="images of the methods on the same noise (.npz)")
    parser.add_argument("--output", type=Path, required=True, help="evaluation.json")


def _add_trace(commands: Any) -> None:
    parser = _scoring(commands, "trace", "measure what a search or a fine-tuning had reached after so much work")
    parser.set_defaults(run=f"{TRACE_STEP}:trace")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--generations", type=Path, nargs="+", help="all generations' files of a search, in order")
    what.add_argument("--tuned", type=Path, metavar="DIR", help="folder of a fine-tuning")
    parser.add_argument("--baselines", type=Path, required=True, help="with the best EMA, and the fine-tuning's scores")
    parser.add_argument("--extractors", type=Path, nargs=2, required=True, help="searched and held-out extractor")
    parser.add_argument("--references", type=Path, nargs=2, required=True, help="their statistics of held-out images")
    parser.add_argument("--timings", type=Path, nargs="+", required=True, help="of the search, or of the tuning")
    parser.add_argument("--after", type=Path, metavar="TRACE", help="trace of the search that the tuning starts from")
    text = "trace.json; it holds seconds, so its bytes differ from one run to the next"
    parser.add_argument("--output", type=Path, required=True, help=text)


def _add_shard(commands: Any) -> None:
    parser = _scoring(commands, "shard", "do one job's share of a generation of a search; `search --shards` joins them")
    parser.set_defaults(run=f"{SEARCH_STEPS}:shard")
    _measured(parser)
    _warm_start(parser)
    parser.add_argument("--search", type=Path, required=True, help="folder of the generations' files")
    parser.add_argument("--generation", type=_whole(0), required=True, help="its number; those before must be there")
    parser.add_argument("--shard", required=True, metavar="I/N", help="which share, such as 2/4; N: 1, 2, 4, 8 or 16")
    text = "forward: scores, or features where gradients are wanted; backward: the gradient, only for such searches"
    parser.add_argument("--stage", choices=["forward", "backward"], required=True, help=text)
    text = "for the stage backward: the files of all shards of the stage forward"
    parser.add_argument("--forward", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    parser.add_argument("--output", type=Path, required=True, help="the share's file (.npz)")


def _add_merging(commands: Any) -> None:
    parser = _command(commands, "export", "write the merged checkpoint of the best search")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--selection", type=Path, nargs="+", required=True, help="selection.json of each search")
    parser.add_argument("--output", type=Path, required=True, help="the merged checkpoint")
    parser.add_argument("--recipe", type=Path, required=True, help="its recipe (JSON)")
    parser = _command(commands, "merge", "make a merged checkpoint again from its recipe", settings=False)
    parser.add_argument("--recipe", type=Path, required=True, help="recipe.json, or a merged checkpoint that has one")
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)


def _add_reporting(commands: Any) -> None:
    parser = _command(commands, "report", "draw figures and write the report page of a run")
    parser.add_argument("--evaluation", type=Path, required=True)
    parser.add_argument("--baselines", type=Path, required=True)
    parser.add_argument("--selection", type=Path, nargs="+", required=True)
    parser.add_argument("--generations", type=Path, nargs="+", required=True, help="of all searches")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--timings", type=Path, nargs="+", required=True)
    parser.add_argument("--bank", type=Path, required=True, help="named in the page, as are the next two")
    parser.add_argument("--recipe", type=Path, required=True, help="the merged checkpoint's recipe")
    parser.add_argument("--merged", type=Path, required=True, help="the merged checkpoint")
    parser.add_argument("--figures", type=Path, required=True, help="folder for figures and tables")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    parser = _command(commands, "compare", "compare runs that differ by their training seed", settings=False)
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="results folders of runs")
    parser.add_argument("--output", type=Path, help="write the comparison as JSON, too")
    text = "draw what methods reached over work and seconds, and print what they cost, over runs with traces"
    parser = _command(commands, "curves", text, settings=False)
    parser.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="results folders of runs, with trace.json")
    parser.add_argument("--output", type=Path, required=True, help="folder for curves.{svg,png,csv}, costs.{txt,csv}")
    parser = _command(commands, "settings", "print the settings of a step", settings=False)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run", dest="run_name", metavar="NAME", required=True)
    parser.add_argument("--step", required=True, help="the step's name, such as train")
    parser.add_argument("--name", help="the entry's name, where a run has several")
    parser = _command(commands, "verify", "check every checksum of a bank", settings=False)
    parser.add_argument("bank", type=Path)
