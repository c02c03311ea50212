"""The scores of a search in the order of its evaluations: the numbers behind the convergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from lcsc.report.drawing import Data
from lcsc.report.numbers import short
from lcsc.report.records import Generation

WINDOW = 9  # scores of a running median


@dataclass(frozen=True)
class Trace:
    """A search: the score of each evaluation in order (None where it has none) and its generations' ends.

    ``fresh`` says which evaluations had noise of their own: their scores have other protocols, and the lowest of them
    is the luckiest.
    """

    search: str
    scores: tuple[float | None, ...]
    ends: tuple[int, ...]
    fresh: tuple[bool, ...] = ()

    @property
    def is_fresh(self) -> bool:
        """Whether the search drew fresh noise."""
        return any(self.fresh)

    def course(self) -> list[float | None]:
        """What stands for the search after each evaluation: the best score so far or, on fresh noise, the median."""
        return self.running_median() if self.is_fresh else self.best_so_far()

    def running_median(self) -> list[float | None]:
        """The median of the last :data:`WINDOW` scores on fresh noise; None where there is none yet."""
        found: list[float | None] = []
        known: list[float] = []
        for score, fresh in zip(self.scores, self.fresh, strict=True):
            known += [score] if fresh and score is not None else []
            found.append(median(known[-WINDOW:]) if known else None)
        return found

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
    fresh: list[bool] = []
    ends = []
    for generation in generations:
        scores += [candidate.score for candidate in generation.candidates]
        fresh += [candidate.fresh for candidate in generation.candidates]
        ends.append(len(scores))
    return Trace(search, tuple(scores), tuple(ends), tuple(fresh))


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
    """Every candidate of every search with the best score up to it, by the search's extractor.

    A search on fresh noise has no best score, but a running median.
    """
    rows: list[tuple[str | float | int | None, ...]] = []
    for one in traces:
        course = one.course()
        number = 0
        for generation in generations.get(one.search, ()):
            for candidate in generation.candidates:
                row = (
                    one.search,
                    generation.number,
                    number + 1,
                    candidate.origin,
                    candidate.score,
                    None if one.is_fresh else course[number],
                    course[number] if one.is_fresh else None,
                    "fresh" if candidate.fresh else "fixed",
                    extractors[one.search],
                )
                rows.append(row)
                number += 1
    first = ("search", "generation", "evaluation", "origin", "score")
    header = (*first, "best_so_far", "running_median", "noise", "extractor")
    return Data(header, tuple(rows))


def generation_data(traces: Sequence[Trace], labels: Mapping[str, str]) -> Data:
    """A line for each generation, as a reader wants it."""
    rows = []
    for one in traces:
        course = one.course()
        for number, (start, end) in enumerate(zip((0, *one.ends), one.ends, strict=False)):
            middle = or_none(middle_of(one.scores[start:end]))
            reached = or_none(course[end - 1]) if end else "none"
            rows.append((labels[one.search], number, end, f"{reached} (median)" if one.is_fresh else reached, middle))
    return Data(("Search", "Generation", "Evaluations", "Best so far", "Median of the generation"), tuple(rows))
