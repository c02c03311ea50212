"""Prints the targets of the searches' benchmark, what was measured, and whether they are met.

Run it by `make bench-search`, or with the results folders of runs with traces: training seeds, over which medians are
taken, and plain trainings `plain-STEPS`, of which `plain-1000` is searched, too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.report.courses import TracedRun, read_run
from lcsc.report.records import Column

EVOLUTION, GRADIENT, TENSOR, SPAN, TUNED = "evolution", "gradient", "gradient-tensor", "tuned-span", "tuned"
EMAS = ("ema", "post-hoc")
# Methods that are shown whatever came out, beside the one that selection noise chooses in each run.
STATED = ("gradient-tensor", "gradient-slices", "gradient-pixels", SPAN)
EVALUATIONS, EQUIVALENTS, PLAIN, SEARCHED_STEPS = 1500, 150, "plain-", 1000
ROW = "{:<70s} {:>9s} {:>9s}  {:<17s} {}"


@dataclass(frozen=True)
class Run:
    """A run with its selection scores by method: those of the searches, and of each family of baselines."""

    folder: Path
    traced: TracedRun
    scores: dict[str, float]

    def distance(self, method: str, column: Column) -> float:
        """The method's mean distance on report noise; :class:`InputError` where the run has none of that name."""
        if method not in self.names:
            raise InputError(f"{self.folder}: evaluated no {method}")
        return self.traced.evaluation.method(method).columns[column.key].mean

    def best(self, names: Sequence[str]) -> str:
        """The method of ``names``, of which there is one, with the lowest score on selection noise."""
        return min((name for name in names if name in self.scores), key=lambda name: self.scores[name])

    @property
    def ours(self) -> list[str]:
        """All searches, and fine-tuning with the span."""
        methods = self.traced.evaluation.methods
        return [method.name for method in methods if method.family == "search" or method.name == SPAN]

    @property
    def names(self) -> list[str]:
        """The names of all methods."""
        return [method.name for method in self.traced.evaluation.methods]


def read(folder: Path) -> Run:
    """The run in ``folder``."""
    traced = read_run(folder)
    baselines = read_json(folder / "baselines.json", kind="baselines")
    entries = {entry["name"]: entry["score"] for entry in baselines["entries"]}
    scores = {family: float(entries[name]) for family, name in baselines["chosen"].items()}
    for method in traced.evaluation.methods:
        if method.family == "search":
            found = read_json(folder / "search" / method.name / "selection.json", kind="selection")
            score = found["finalists"][found["chosen"]]["selection_score"]
            scores[method.name] = math.inf if score is None else float(score)
    return Run(folder, traced, scores)


def seconds_to_reach(run: Run) -> float:
    """Seconds of `gradient` until it had evolution's best after 1,500 evaluations, over evolution's until then."""
    gradient, evolution = (run.traced.shown(name) for name in (GRADIENT, EVOLUTION))
    if gradient is None or evolution is None or not evolution.course or gradient.protocol != evolution.protocol:
        raise InputError(f"{run.folder}: found no traces of both searches on the same search noise and images")
    theirs = [step for step in evolution.course if step.spent.evaluations <= EVALUATIONS][-1]
    reached = [step for step in gradient.course if not step.fresh and step.score <= theirs.score]
    return reached[0].spent.seconds / theirs.spent.seconds if reached else math.inf


def within_equivalents(run: Run, column: Column) -> float:
    """`gradient` within 150 evaluation equivalents over evolution's choice, both by way of the best EMA."""
    trace = run.traced.shown(GRADIENT)
    if trace is None:
        raise InputError(f"{run.folder}: found no trace of {GRADIENT}")
    found = [ratio for spent, ratio in trace.ratios(column.key) if spent.equivalents <= EQUIVALENTS]
    if not found:
        raise InputError(f"{run.folder}: found no point of {GRADIENT} within {EQUIVALENTS} equivalents")
    return found[-1] / (run.distance(EVOLUTION, column) / run.distance("ema", column))


def tuned_in_hindsight(run: Run, column: Column) -> float:
    """The best of all fine-tunings, rates and milestones on report noise, over the best EMA there."""
    found = [
        trace.hindsight[column.key] / trace.base[column.key]
        for trace in run.traced.traces
        if trace.family == TUNED and column.key in trace.hindsight
    ]
    if not found:
        raise InputError(f"{run.folder}: found no trace of a fine-tuning")
    return min(found)


def steps_needed(distance: float, trainings: Sequence[tuple[int, float]]) -> float:
    """Steps of plain training to reach ``distance``, between trainings (steps, distance) on lines in log-log.

    Infinite where none of them reaches it.
    """
    ordered = sorted(trainings)
    if ordered[0][1] <= distance:
        return float(ordered[0][0])
    for (steps, before), (more, after) in pairwise(ordered):
        if after <= distance:
            part = (math.log(before) - math.log(distance)) / (math.log(before) - math.log(after))
            return math.exp(math.log(steps) + part * (math.log(more) - math.log(steps)))
    return math.inf


def show(what: str, target: str, values: Callable[[], Sequence[float]], met: Callable[[float], bool]) -> None:
    """Print one target with the median and range of ``values``."""
    try:
        found = list(values())
        middle = median(found)
    except InputError as error:
        print(ROW.format(what, target, "–", "", f"not measured ({error})"))
        return
    limits = f"{min(found):.3g}–{max(found):.3g}"
    print(ROW.format(what, target, f"{middle:.3g}", limits, "met" if met(middle) else "NOT MET"))


def at_most(limit: float) -> Callable[[float], bool]:
    """Whether a value is no larger than ``limit``."""
    return lambda value: value <= limit


def show_searches(runs: Sequence[Run], column: Column, searched: float, held_out: float) -> None:
    """The rows of one extractor that compare the searches with each other."""
    name = f"FD ({column.extractor})"
    if column.searched:
        what = f"{GRADIENT} within {EQUIVALENTS} equivalents ÷ {EVOLUTION}, {name}"
        show(what, "≤ 0.85", lambda: [within_equivalents(run, column) for run in runs], at_most(0.85))
    limit = searched if column.searched else held_out
    show(
        f"{TENSOR} ÷ {GRADIENT}, {name}",
        f"≤ {limit:g}",
        lambda: [run.distance(TENSOR, column) / run.distance(GRADIENT, column) for run in runs],
        at_most(limit),
    )


def show_best(runs: Sequence[Run], column: Column, choose: Callable[[Run], str], how: str) -> None:
    """The rows of one extractor that compare the best of ours, as ``choose`` says, with EMAs and fine-tuning."""
    name, limit = f"FD ({column.extractor})", 0.22 if column.searched else 0.3

    def ours(run: Run) -> float:
        return run.distance(choose(run), column)

    def alike(run: Run) -> float:
        return ours(run) / run.distance(run.best(EMAS), column)

    def hindsight(run: Run) -> float:
        return ours(run) / run.traced.evaluation.hindsight[column.key].measure.mean

    show(f"{how} ÷ best EMA chosen alike, {name}", f"≤ {limit:g}", lambda: [*map(alike, runs)], at_most(limit))
    show(f"{how} ÷ best EMA in hindsight, {name}", f"≤ {limit:g}", lambda: [*map(hindsight, runs)], at_most(limit))
    if column.searched:
        return

    def tuned(run: Run) -> float:
        return ours(run) / run.distance(TUNED, column)

    def tuned_best(run: Run) -> float:
        return ours(run) / run.distance("ema", column) / tuned_in_hindsight(run, column)

    show(f"{how} ÷ fine-tuning, rate chosen alike, {name}", "< 1", lambda: [*map(tuned, runs)], lambda v: v < 1)
    show(
        f"{how} ÷ fine-tuning, best rate in hindsight, {name}", "< 1", lambda: [*map(tuned_best, runs)], lambda v: v < 1
    )


def show_plain(plain: Sequence[Run]) -> None:
    """The rows of plain training against the search of the shortest."""
    searched = next((run for run in plain if _steps(run) == SEARCHED_STEPS), None)
    if searched is None or TENSOR not in searched.names:
        print(ROW.format(f"plain training to match {TENSOR}", "≥ 23,000", "–", "", "not measured (no plain-1000)"))
        return
    for column in searched.traced.columns:
        trainings = [(_steps(run), run.distance(run.best(EMAS), column)) for run in plain]
        needed = steps_needed(searched.distance(TENSOR, column), trainings)
        longest = max(steps for steps, _ in trainings)
        found = f"> {longest:,}" if math.isinf(needed) else f"{needed:,.0f}"
        met = "met" if min(needed, longest) >= 23_000 else "NOT MET"
        what = f"plain steps to match {TENSOR} of {SEARCHED_STEPS:,}, FD ({column.extractor})"
        print(ROW.format(what, "≥ 23,000", found, "", met))
    for column in searched.traced.columns:
        listed = ", ".join(
            f"{_steps(run):,}: {run.distance(run.best(EMAS), column):.3g}" for run in sorted(plain, key=_steps)
        )
        print(f"  FD ({column.extractor}): {TENSOR} {searched.distance(TENSOR, column):.3g}; best EMA after {listed}")


def _steps(run: Run) -> int:
    return run.traced.evaluation.steps[-1]


def main(folders: Sequence[Path]) -> None:
    """Print all targets."""
    everything = [read(folder) for folder in folders]
    plain = [run for run in everything if run.traced.evaluation.run.startswith(PLAIN)]
    runs = [run for run in everything if run not in plain]
    print(ROW.format(f"held-out images, {len(runs)} runs", "target", "median", "range", ""))
    if runs:
        what = f"seconds of {GRADIENT} to reach {EVOLUTION}'s best after {EVALUATIONS:,}"
        show(what, "≤ 0.04", lambda: [seconds_to_reach(run) for run in runs], at_most(0.04))
        columns = runs[0].traced.columns[::-1]
        for column in columns:
            show_searches(runs, column, 0.7, 0.7)
        for column in columns:
            show_best(runs, column, lambda run: run.best(run.ours), "ours, chosen on selection noise")
        print("  chosen: " + ", ".join(f"{run.traced.evaluation.run} {run.best(run.ours)}" for run in runs))
        for name in STATED:
            if all(name in run.names for run in runs):
                for column in columns:
                    show_best(runs, column, lambda run, name=name: name, name)  # type: ignore[misc]
    if plain:
        show_plain(plain)


if __name__ == "__main__":
    try:
        main([Path(argument) for argument in sys.argv[1:]])
    except InputError as error:
        sys.exit(f"error: {error}")
