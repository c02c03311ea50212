"""The scores of a search in the order of its evaluations: the numbers behind the convergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from lcsc.report.drawing import Data
from lcsc.report.numbers import short
from lcsc.report.records import Generation


@dataclass(frozen=True)
class Trace:
    """A search: the score of each evaluation in order (None where it has none) and its generations' ends."""

    search: str
    scores: tuple[float | None, ...]
    ends: tuple[int, ...]

    def best_so_far(self) -> list[float | None]:
        """The smallest score up to each evaluation."""
        best: list[float | None] = []
        for score in self.scores:
            former = best[-1] if best else None
            best.append(former if score is None else score if former is None else min(former, score))
        return best


def trace(search: str, generations: Sequence[Generation]) -> Trace:
    """The scores of a search in the order of its evaluations."""
    scores: list[float | None] = []
    ends = []
    for generation in generations:
        scores += [candidate.score for candidate in generation.candidates]
        ends.append(len(scores))
    return Trace(search, tuple(scores), tuple(ends))


def middle_of(scores: Sequence[float | None]) -> float | None:
    """The median of the scores there are."""
    known = [score for score in scores if score is not None]
    return median(known) if known else None


def or_none(value: float | None) -> str:
    """A score as text."""
    return "none" if value is None else short(value)


def candidate_data(
    traces: Sequence[Trace], generations: Mapping[str, Sequence[Generation]], extractors: Mapping[str, str]
) -> Data:
    """Every candidate of every search with the best score up to it, by the search's extractor."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for one in traces:
        best = one.best_so_far()
        number = 0
        for generation in generations.get(one.search, ()):
            for candidate in generation.candidates:
                row = (
                    one.search,
                    generation.number,
                    number + 1,
                    candidate.origin,
                    candidate.score,
                    best[number],
                    extractors[one.search],
                )
                rows.append(row)
                number += 1
    header = ("search", "generation", "evaluation", "origin", "score", "best_so_far", "extractor")
    return Data(header, tuple(rows))


def generation_data(traces: Sequence[Trace], labels: Mapping[str, str]) -> Data:
    """A line for each generation, as a reader wants it."""
    rows = []
    for one in traces:
        best = one.best_so_far()
        for number, (start, end) in enumerate(zip((0, *one.ends), one.ends, strict=False)):
            middle = or_none(middle_of(one.scores[start:end]))
            rows.append((labels[one.search], number, end, or_none(best[end - 1]) if end else "none", middle))
    return Data(("Search", "Generation", "Evaluations", "Best so far", "Median of the generation"), tuple(rows))
