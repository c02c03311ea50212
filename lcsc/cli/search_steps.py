"""What ``lcsc search`` and ``lcsc shard`` do: generations of a search, in one job or in shares of several."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcsc.cli.job_log import log_read
from lcsc.cli.scoring_steps import log_protocol, scoring_context, searched_measure
from lcsc.cli.settings import measured, step_settings_of
from lcsc.errors import InputError
from lcsc.progress import logger
from lcsc.runtime import limit_threads_before_imports

if TYPE_CHECKING:
    from lcsc.extractors import Extractor
    from lcsc.groups import Groups
    from lcsc.metrics.reference_file import ReferenceFile
    from lcsc.scoring import Context
    from lcsc.search import Candidate, Search, SearchSpace
    from lcsc.search.driver import ScoreAll
    from lcsc.search.patience import StoppingScore
    from lcsc.search.racing import Race
    from lcsc.search_scoring import SearchScoring
    from lcsc.shard_files import Share, Task


@dataclass(frozen=True)
class _Opened:
    """A search at its start, what scores its candidates, and what its generations say of themselves."""

    search: Search
    scoring: SearchScoring
    about: dict[str, Any]
    stopping: StoppingScore | None = None

    def task(self, folder: Path, generation: int, candidates: Sequence[Candidate], with_gradients: bool) -> Task:
        """What the shards of a generation have in common."""
        from lcsc.files import sha256_of
        from lcsc.search.generations import generation_path
        from lcsc.shard_files import Task

        parent = sha256_of(generation_path(folder, generation - 1)) if generation else None
        return Task.of(self.about, generation, parent, candidates, with_gradients)


def _open(
    options: argparse.Namespace, context: Context, settings: dict[str, Any], device: str | None = None
) -> _Opened:
    """The search of ``settings``; ``device`` is that of scores made elsewhere."""
    from lcsc.files import hash_of, read_json
    from lcsc.groups import make_groups
    from lcsc.search import make_search
    from lcsc.search_scoring import SearchScoring
    from lcsc.warm_start import lineage_of

    extractor, reference = searched_measure(options, context)
    images = int(settings["images"])
    protocol = context.protocol(extractor, reference, "search", images)
    protocol = replace(protocol, device=device or protocol.device)
    log_protocol(protocol)
    chosen = settings["search"]
    if (
        chosen["method"] == "transfer" and options.warm_start
    ):  # rows are taken over with the groups they were found with
        chosen = {**chosen, "groups": read_json(options.warm_start, kind="selection")["groups"]}
    groups = make_groups(context.bank.tensors, chosen.get("groups", "all"))
    evaluator = context.evaluator(extractor, reference, "search", images)
    space = _space(options, context, chosen, groups)
    if space.warm is not None:  # what it is, not only what it is called, belongs to the search's identity
        lineage = lineage_of(read_json(options.warm_start, kind="selection"))
        more = {"coefficients": hash_of(space.warm.tolist()), "extractors": lineage}
        chosen = {**chosen, "warm_start": {**chosen["warm_start"], **more}}
    about = {"method": chosen["method"], "search": settings["name"], "settings": chosen, "extractor": extractor.record}
    return _Opened(
        make_search(chosen, space),
        SearchScoring(context, evaluator, groups),
        {**about, "protocol": protocol.hash, "bank": context.bank.identity},
        _stopping(options, context, (extractor, reference), groups, settings),
    )


def _space(options: argparse.Namespace, context: Context, chosen: dict[str, Any], groups: Groups) -> SearchSpace:
    """What is searched, with what the settings need of the bank and of an earlier search."""
    from lcsc.bank.gram import centred_gram
    from lcsc.search import SearchSpace
    from lcsc.warm_start import warm_rows

    wanted, given = chosen.get("warm_start") is not None, options.warm_start
    if wanted != (given is not None):
        raise InputError(
            f"--warm-start: found {given}, expected {'the selection.json of the earlier search' if wanted else 'none'} "
            "as the settings' warm_start says"
        )
    gram = centred_gram(context.bank, groups) if chosen.get("axes") == "principal" else None
    warm = warm_rows(given, context.bank, groups) if wanted else None
    return SearchSpace(tuple(context.bank.steps), groups.G, gram, warm)


def _stopping(
    options: argparse.Namespace,
    context: Context,
    measure: tuple[Extractor, ReferenceFile],
    groups: Groups,
    settings: dict[str, Any],
) -> StoppingScore | None:
    """What scores on stopping noise, with a journal; None without patience, and in a shard, which scores its share."""
    from lcsc.files import hash_of
    from lcsc.scoring import score_candidates
    from lcsc.search.journal import Journal
    from lcsc.search.patience import JournaledStopping

    wanted = settings["search"].get("stopping")
    if wanted is None or options.command == "shard":
        return None
    images = int(wanted["images"] or settings["images"])
    protocol = context.protocol(*measure, "stopping", images)
    evaluator = context.evaluator(*measure, "stopping", images)
    key = hash_of([protocol.hash, context.bank.identity, settings["search"].get("groups", "all")])
    return JournaledStopping(
        lambda candidate: score_candidates(context, evaluator, [candidate], groups=groups)[0],
        Journal(options.output / "journal", key),
    )


def search(options: argparse.Namespace) -> None:
    """``lcsc search``."""
    settings = step_settings_of(options, "search")
    limit_threads_before_imports(int(settings["threads"]))
    device = _device_of_shards(options, settings)
    with measured(f"search-{settings['name']}", options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc.search.budget import Budget
        from lcsc.search.driver import run_generations
        from lcsc.search.racing import Race

        _log_chain(options, options.output, options.first)
        opened = _open(options, context, settings, device)
        took: list[float] = []
        images = int(settings["images"])
        race = Race.of(settings["search"], images)
        found = run_generations(
            opened.search,
            _joined(options, opened, took) if options.shards else _scoring(options, opened, race),
            options.output,
            first=options.first,
            count=options.count,
            about=opened.about,
            budget=Budget.of(opened.about["settings"], context.workers.count, race),
            stopping=opened.stopping,
        )
        cost.evaluations, cost.images = found.evaluations, found.evaluations * images
        cost.images += 0 if race is None else (found.evaluations + found.raced) * race.images
        cost.earlier_seconds = found.known_seconds / context.workers.count + found.known_shared_seconds + sum(took)
        cost.device = device or cost.device
    logger.info("%d evaluations, best %s", found.evaluations, found.best)


def _log_chain(options: argparse.Namespace, folder: Path, count: int) -> None:
    """Write to the log which generations the job goes on from."""
    from lcsc.search.generations import chain_paths

    log_read(options, "the generations before", chain_paths(folder, count))


def _scoring(options: argparse.Namespace, opened: _Opened, race: Race | None) -> ScoreAll:
    """What scores the candidates, after heats where they race."""
    from lcsc.raced_scoring import RacedScoring

    if race is None:
        return opened.scoring
    return RacedScoring.of(opened.scoring, race, opened.about, options.output / "journal")


def _device_of_shards(options: argparse.Namespace, settings: dict[str, Any]) -> str | None:
    """The device that made the shards, where joining them takes none but the CPU; None where it is the step's own.

    Looks on stopping noise make images: then the join must run on what the shards ran on, or is refused.
    """
    if not options.shards:
        return None
    if options.count != 1:
        raise InputError(f"--count: found {options.count} with --shards, expected 1; join one generation at a time")
    if settings["search"].get("stopping") is not None:
        return None
    from lcsc.shard_files import read_share

    options.device = "cpu"
    return read_share(options.shards[0]).device


def _joined(options: argparse.Namespace, opened: _Opened, took: list[float]) -> Any:
    """What scores the generation from the files of its shards; ``took`` gets the seconds they took one by one."""
    from lcsc.shard_files import read_shares
    from lcsc.shards import Joined

    stage: Any = "backward" if opened.search.needs_gradient else "forward"

    def read(candidates: Sequence[Candidate], with_gradients: bool) -> list[Share]:
        task = opened.task(options.output, options.first, candidates, with_gradients)
        return read_shares(options.shards, task, stage)

    return Joined(opened.scoring, read, took.append)


def shard(options: argparse.Namespace) -> None:
    """``lcsc shard``."""
    settings = step_settings_of(options, "search")
    limit_threads_before_imports(int(settings["threads"]))
    from lcsc.shard_files import Shard, read_shares, write_share

    which = Shard.parse(options.shard)
    label = f"shard-{settings['name']}"
    with measured(label, options) as cost, scoring_context(options, settings, cost) as context:
        from lcsc import shards
        from lcsc.search.driver import open_journal, resume

        _log_chain(options, options.search, options.generation)
        opened = _open(options, context, settings)
        _require_files(options, opened.search, which.count)
        course = resume(opened.search, options.search, options.generation, opened.about)
        candidates = course.ask()
        task = opened.task(options.search, options.generation, candidates, course.wants_gradients)
        if options.stage == "forward":
            journal = open_journal(options.search, opened.about, writer=f"shard-{which.index}-of-{which.count}")
            share = shards.forward(opened.scoring, candidates, journal, task, which)
        else:
            before = read_shares(options.forward, task, "forward")
            share = shards.backward(opened.scoring, candidates, before, which)
        write_share(options.output, share)
        cost.evaluations, cost.images = len(share.scores), len(share.scores) * int(settings["images"])
    logger.info("generation %d: shard %s of the stage %s is done", options.generation, which, options.stage)


def _require_files(options: argparse.Namespace, search: Search, count: int) -> None:
    """Refuse a stage that the search does not have, or that lacks the files it needs."""
    expected = count if options.stage == "backward" else 0
    if len(options.forward) != expected:
        raise InputError(
            f"--forward: found {len(options.forward)} files for the stage {options.stage}, expected {expected}; the "
            "stage backward needs those of all shards, the stage forward none"
        )
    if options.stage == "backward" and not search.needs_gradient:
        raise InputError(
            f"--stage: found backward, expected forward, the only stage of the method {search.method}; join its files"
        )
