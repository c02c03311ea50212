"""What a fine-tuning reaches beside the best search, in one sentence: the page must not hide a better one."""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.report.headline import compare_to_base, main_column, verdict
from lcsc.report.numbers import duration, ratio, short
from lcsc.report.records import Baseline, Baselines, Evaluation, Method, Selection, Timing

HOW = {"tuned": "Fine-tuning", "tuned-span": "Fine-tuning with the span", "tuned-search": "Fine-tuning what it found"}
SAME = 1.25  # seconds that differ by less are about the same


def tuned_words(evaluation: Evaluation, baselines: Baselines, best: Selection, timings: Sequence[Timing]) -> str:
    """A sentence on the best fine-tuning where its selection score or its reported distance is below the ``best``'s.

    Empty where there is none. The fine-tuning is that of lowest selection score, as the search is, so that no reported
    number chooses; where only another one reports less, that one.
    """
    column, search = main_column(evaluation), evaluation.method(best.search)
    rivals = []
    for method in evaluation.methods:
        entry = baselines.best(method.name) if method.family in HOW else None
        if entry is None or entry.score is None:
            continue
        scored = best.selection_score is None or entry.score < best.selection_score
        if scored or method.columns[column.key].mean < search.columns[column.key].mean:
            rivals.append((not scored, entry.score, method, entry))
    if not rivals:
        return ""
    _, _, method, entry = min(rivals, key=lambda rival: rival[:2])
    times = ratio(compare_to_base(method, evaluation, column))
    spent = _seconds_words(timings, entry, best)
    return (
        f"{HOW[method.family]} reaches {times} ({column.extractor}){spent}; its selection score is "
        f"{_score_words(entry, best)}, its distance {_distance_words(method, search, column.key)}."
    )


def _score_words(entry: Baseline, best: Selection) -> str:
    if entry.score is None or best.selection_score is None:
        return "the only one"
    word = "lower" if entry.score < best.selection_score else "higher"
    return f"{word} than that search’s ({short(entry.score)} against {short(best.selection_score)})"


def _distance_words(method: Method, search: Method, key: str) -> str:
    ours, theirs = method.columns[key], search.columns[key]
    return {"below": "lower", "above": "higher", "level with": "about the same"}[verdict(ours, theirs)]


def _seconds_words(timings: Sequence[Timing], entry: Baseline, best: Selection) -> str:
    """What both cost, where timings of both are there: all jobs of the fine-tuning, and of the search."""
    # An entry is called by the fine-tuning's name, its rate and the count of gradients (lcsc.tuning.tuned).
    steps = (f"tune-{entry.name.rsplit(' ', 2)[0]}", f"search-{best.search}")
    tuning, searching = (sum(timing.seconds for timing in timings if timing.step == step) for step in steps)
    if not tuning or not searching:
        return ""
    if max(tuning, searching) < SAME * min(tuning, searching):
        return f" in about the same seconds ({duration(tuning)} against {duration(searching)})"
    return f" in {duration(tuning)}, the search in {duration(searching)}"
