"""The finalists of a search, scored again on noise that the search has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lcsc.errors import LcscError
from lcsc.evaluation import Evaluator
from lcsc.groups import Groups
from lcsc.progress import Progress
from lcsc.scoring import Context, score_candidates
from lcsc.search.generations import Generation


def finalists(generations: Sequence[Generation], count: int) -> list[dict[str, Any]]:
    """The ``count`` best candidates of all ``generations`` by their search score, best first."""
    rows = [
        (item.order, generation.number, index, item)
        for generation in generations
        for index, item in enumerate(generation.scored)
        if item.score is not None
    ]
    rows.sort(key=lambda row: row[:3])
    return [
        {"candidate": index, "generation": number, "search_score": item.score, "item": item}
        for _, number, index, item in rows[:count]
    ]


def select(
    context: Context, evaluator: Evaluator, rows: Sequence[dict[str, Any]], groups: Groups | None = None
) -> dict[str, Any]:
    """Score the finalists ``rows`` and choose the best: ``finalists`` and ``chosen`` (an index) of the record."""
    progress = Progress("finalists", len(rows))
    candidates = [row["item"].candidate for row in rows]
    scores = score_candidates(
        context, evaluator, candidates, groups=groups, done=lambda score, known: progress.advance()
    )
    records = [
        {
            "coefficients": row["item"].candidate.coefficients.tolist(),
            "search_score": row["search_score"],
            "selection_score": score.value,
            "reason": score.reason,
            "generation": row["generation"],
            "candidate": row["candidate"],
        }
        for row, score in zip(rows, scores, strict=True)
    ]
    if all(score.value is None for score in scores):
        raise LcscError(f"selection: no finalist could be scored ({scores[0].reason}); check the generator's settings")
    chosen = min(range(len(scores)), key=lambda index: scores[index].order)
    return {"finalists": records, "chosen": chosen}
