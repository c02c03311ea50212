"""The result in one sentence and one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lcsc.report.gain import is_flagged, kept_words
from lcsc.report.measures import Measure
from lcsc.report.numbers import fixed, ratio
from lcsc.report.records import Column, Evaluation, Method, Selection
from lcsc.report.searched import own_extractor

BASE = "ema"
HELD_OUT = "held-out"
DISTINCT = 2.0  # standard deviations between two means that count as different


@dataclass(frozen=True)
class Headline:
    """``number`` is what ``number_words`` explain; ``sentence`` is the result; ``caveat`` may be empty.

    ``no_gain`` says that nothing was gained, where that is so; it is the first of the caveats.
    """

    number: str
    number_words: str
    sentence: str
    caveat: str
    no_gain: str = ""


def best_search(selections: Sequence[Selection]) -> str:
    """The search whose choice is best on ``selection`` noise: the choice never looks at reported numbers."""
    scored = [s for s in selections if s.selection_score is not None] or list(selections)
    return min(scored, key=lambda s: math.inf if s.selection_score is None else s.selection_score).search


def main_column(evaluation: Evaluation) -> Column:
    """The column to judge by: held-out images, and an extractor that no search used, where there is one."""
    return min(evaluation.columns, key=lambda column: (column.part != HELD_OUT, column.searched))


def compare_to_base(method: Method, evaluation: Evaluation, column: Column) -> float:
    """The method's distance over that of the best EMA."""
    base = evaluation.method(BASE).columns[column.key].mean
    return method.columns[column.key].mean / base if base else math.nan


def verdict(ours: Measure, base: Measure) -> str:
    """``below``, ``above`` or ``level with``: whether two means differ by more than their spread explains."""
    difference = ours.mean - base.mean
    if abs(difference) <= DISTINCT * math.hypot(ours.spread, base.spread):
        return "level with"
    return "below" if difference < 0 else "above"


def _named(label: str) -> str:
    """``the best EMA (0.97)`` whether or not the label says that it is the best."""
    return f"the best{label[4:]}" if label.startswith("Best ") else f"the best EMA ({label})"


def headline(evaluation: Evaluation, selections: Sequence[Selection], tuned: str = "") -> Headline:
    """The result of a run: the best search (by ``selection`` noise) against the best EMA.

    ``tuned`` is what :func:`lcsc.report.tuned.tuned_words` says of a fine-tuning that reaches more.
    """
    method = evaluation.method(best_search(selections))
    column = main_column(evaluation)
    base = evaluation.method(BASE)
    ours, theirs = method.columns[column.key], base.columns[column.key]
    word = verdict(ours, theirs)
    decimals = evaluation.decimals
    sentence = (
        f"{method.label} is {word} {_named(base.label)}: {column.label}, "
        f"{fixed(ours.mean, decimals)} ± {fixed(ours.spread, decimals)} against "
        f"{fixed(theirs.mean, decimals)} ± {fixed(theirs.spread, decimals)}."
    )
    own = own_extractor(method, evaluation)
    searched = next((c for c in evaluation.columns if c.part == column.part and c.searched), None)
    if searched is not None and searched != column:
        times = ratio(compare_to_base(method, evaluation, searched))
        did = "was searched" if own is None else "chose it"
        sentence += f" By the extractor that {did}, {searched.distance}, it is {times}."
    if own is not None:
        sentence += f" What it lowered is {own.distance}."
    no_gain = _no_gain(method, base, column, word)
    caveats = [words for words in (no_gain, tuned) if words]
    caveats += ["A searched distance alone is no evidence."] if column.searched else []
    caveats += [f"It {kept_words(method)}."] if is_flagged(method) else []
    used = ("that the search used" if own is None else "that chose it") if column.searched else "that no search used"
    return Headline(
        number=ratio(compare_to_base(method, evaluation, column)),
        number_words=f"the best EMA’s distance, by an extractor {used} ({column.extractor})",
        sentence=sentence,
        caveat=" ".join(caveats),
        no_gain=no_gain,
    )


def _no_gain(method: Method, base: Method, column: Column, word: str) -> str:
    """A sentence where the ``method``'s distance is not below that of the best EMA."""
    if word == "below":
        return ""
    compared = "worse than" if word == "above" else "no better than"
    return f"Nothing was gained: {method.label} is {compared} {_named(base.label)} by {column.label}; use the EMA."
