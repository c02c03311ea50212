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
    shared the scores by value evenly. ``timings`` say how many workers a search had; one without is left out, too.
    """
    found = {}
    for folder, own in groupby(paths, key=lambda path: path.parent):
        chain = list(own)
        search = str(read_json(chain[0], kind="generation")["search"])
        try:
            found[search] = _elapsed(chain, _workers(search, folder, timings))
        except InputError as error:
            logger.warning("the report shows no seconds of the search %s: %s", search, error)
    return found


def _workers(search: str, folder: Path, timings: Sequence[Timing]) -> int:
    """The fewest workers that a round of the search had; :class:`InputError` where no journal or timing stands."""
    if not (folder / "journal").is_dir():
        raise InputError(
            f"{folder / 'journal'}: not found, expected the search's journal; bring it back, or search again"
        )
    found = [one.workers for one in timings if one.step == f"search-{search}"]
    if not found:
        raise InputError(
            f"--timings: found none of 'search-{search}', expected those of its rounds, which say how many workers "
            "shared its scores; give them"
        )
    return min(found)


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
