"""The parsers of the subcommands that score."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lcsc.cli.parsers import command, whole

SCORING_STEPS = "lcsc.cli.scoring_steps"
SEARCH_STEPS = "lcsc.cli.search_steps"
TRACE_STEP = "lcsc.cli.trace_step"
LANDSCAPE_STEP = "lcsc.cli.landscape_step"
CHECK_STEP = "lcsc.cli.check_step"


def _scoring(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser = command(commands, name, text)
    parser.set_defaults(run=f"{SCORING_STEPS}:{name}")
    parser.add_argument("--bank", type=Path, required=True, help="the bank's folder or its index.json")
    parser.add_argument("--cores", type=whole(1), default=1, metavar="N", help="cores to use; changes the time alone")
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


def add_scoring(commands: Any) -> None:
    """Add check, baselines, search, shard, tune, select, evaluate, trace and landscape."""
    parser = command(commands, "check", "see whether the network fits the bank and makes finite images; seconds")
    parser.set_defaults(run=f"{CHECK_STEP}:check")
    parser.add_argument("--bank", type=Path, required=True, help="the bank's folder or its index.json")
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
    parser.add_argument("--first", type=whole(0), default=0, help="the first generation to run")
    parser.add_argument("--count", type=whole(1), required=True, help="how many generations to run")
    parser.add_argument("--output", type=Path, required=True, help="folder of the generations' files")
    text = "join these files of all shards of the generation's last stage, in place of scoring; needs --count 1"
    parser.add_argument("--shards", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    parser.set_defaults(run=f"{SEARCH_STEPS}:search")
    _add_shard(commands)
    _add_trace(commands)
    _add_landscape(commands)
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
    parser.add_argument("--selection", type=Path, nargs="*", default=[], help="selection.json of each search, if any")
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


def _add_landscape(commands: Any) -> None:
    parser = _scoring(commands, "landscape", "measure distances over the plane through three checkpoints or averages")
    parser.set_defaults(run=f"{LANDSCAPE_STEP}:landscape")
    parser.add_argument("--baselines", type=Path, required=True, help="with the last checkpoint and the best EMA")
    parser.add_argument("--selection", type=Path, nargs="*", default=[], help="selection.json of each search, if any")
    parser.add_argument("--extractors", type=Path, nargs=2, required=True, help="searched and held-out extractor")
    parser.add_argument("--references", type=Path, nargs=2, required=True, help="their statistics of held-out images")
    parser.add_argument("--output", type=Path, required=True, help="the landscape's file (.json)")


def _add_shard(commands: Any) -> None:
    parser = _scoring(commands, "shard", "do one job's share of a generation of a search; `search --shards` joins them")
    parser.set_defaults(run=f"{SEARCH_STEPS}:shard")
    _measured(parser)
    _warm_start(parser)
    parser.add_argument("--search", type=Path, required=True, help="folder of the generations' files")
    parser.add_argument("--generation", type=whole(0), required=True, help="its number; those before must be there")
    parser.add_argument("--shard", required=True, metavar="I/N", help="which share, such as 2/4; N: 1, 2, 4, 8 or 16")
    text = "forward: scores, or features where gradients are wanted; backward: the gradient, only for such searches"
    parser.add_argument("--stage", choices=["forward", "backward"], required=True, help=text)
    text = "for the stage backward: the files of all shards of the stage forward"
    parser.add_argument("--forward", type=Path, nargs="+", default=[], metavar="FILE", help=text)
    parser.add_argument("--output", type=Path, required=True, help="the share's file (.npz)")
