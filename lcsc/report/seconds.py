"""What each evaluation of a search took, from its journal, where that still stands beside the generations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.progress import logger
from lcsc.report.records import Timing

# A race's share of work in evaluations is not looked at here, so how many images a whole score has does not matter.
ANY_IMAGES = 1 << 40


def seconds_of_searches(paths: Sequence[Path], timings: Sequence[Timing]) -> dict[str, list[float]]:
    """Seconds of scoring up to each evaluation, by search; those without a whole journal are left out, with a warning.

    ``paths`` are generations of all searches. Seconds are counted as :mod:`lcsc.traces` does: as if all workers had
    shared the scores by value evenly. ``timings`` say how many workers a search had.
    """
    found = {}
    for folder, own in groupby(paths, key=lambda path: path.parent):
        if not (folder / "journal").is_dir():
            continue
        chain = list(own)
        search = str(read_json(chain[0], kind="generation")["search"])
        workers = min((one.workers for one in timings if one.step == f"search-{search}"), default=1)
        try:
            found[search] = _elapsed(chain, workers)
        except InputError as error:
            logger.warning("the report shows no seconds of the search %s: %s", search, error)
    return found


def _elapsed(paths: Sequence[Path], workers: int) -> list[float]:
    """Seconds up to each evaluation that is no lost heat, in the order of the generations."""
    from lcsc.search.generations import read_chain
    from lcsc.traces.trace import Seconds, Work, after, looked

    generations = read_chain(paths)
    clock = Seconds(paths[0].parent, generations[0].about, ANY_IMAGES)
    work, found = Work(), []
    for generation in generations:
        for item in generation.scored:
            work = after(work, item, clock, workers)
            found += [work.seconds] if item.raced is None else []
        if generation.look is not None:
            work = looked(work, generations, generation, clock, workers, ANY_IMAGES)
    return found
