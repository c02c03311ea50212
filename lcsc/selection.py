"""The finalists of a search, scored again on noise that the search has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lcsc.errors import LcscError
from lcsc.evaluation import Evaluator
from lcsc.groups import Groups
from lcsc.progress import Progress
from lcsc.scoring import Context, score_candidates
from lcsc.search.base import Scored
from lcsc.search.generations import Generation

# Shares of a search at whose end its best so far is a finalist, too.
MILESTONES = (0.25, 0.5, 0.75)
# A candidate's score, generation, place in it, and itself.
Row = tuple[float, int, int, Scored]


def finalists(generations: Sequence[Generation], count: int) -> list[dict[str, Any]]:
    """The ``count`` best candidates of all ``generations`` by their search score, best first, and milestones.

    The best of a search that follows gradients are its last few points, all overfitted alike where it overfits its
    noise; so what was best after a quarter, a half and three quarters of the search may be chosen, too, and what
    looked best on stopping noise. Scores on fresh noise are not comparable: then it is the last point and others at
    even distances before it, ``count`` in all.
    """
    generations = [generation for generation in generations if generation.scored]  # those after the end are empty
    ranked = _ranked(generations)
    if any(item.candidate.iteration for _, _, _, item in ranked):
        chosen = _spread(ranked, count)
    else:
        chosen = ranked[:count]
        for share in MILESTONES:
            chosen += _ranked(generations[: max(1, round(share * len(generations)))])[:1]
    looks = [generation.look for generation in generations if generation.look is not None]
    scored = [look for look in looks if look.score is not None]
    if scored:
        best = min(scored, key=lambda look: look.score if look.score is not None else np.inf)
        chosen += [row for row in ranked if row[1:3] == (best.generation, best.candidate)]
    places = dict.fromkeys(row[1:3] for row in chosen)
    items = {row[1:3]: row[3] for row in ranked}
    return [
        {
            "candidate": index,
            "generation": number,
            "search_score": items[number, index].score,
            "item": items[number, index],
        }
        for number, index in places
    ]


def _spread(ranked: Sequence[Row], count: int) -> list[Row]:
    """The last candidate on fresh noise, and others at even distances before it, last first."""
    fresh = sorted((row for row in ranked if row[3].candidate.iteration), key=lambda row: row[1:3], reverse=True)
    count = min(count, len(fresh))
    return [fresh[len(fresh) * place // count] for place in range(count)]


def _ranked(generations: Sequence[Generation]) -> list[Row]:
    rows = [
        (item.order, generation.number, index, item)
        for generation in generations
        for index, item in enumerate(generation.scored)
        if item.score is not None
    ]
    return sorted(rows, key=lambda row: row[:3])


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


def by_searched(
    context: Context,
    evaluator: Evaluator,
    rows: Sequence[dict[str, Any]],
    found: dict[str, Any],
    groups: Groups | None = None,
) -> dict[str, Any]:
    """What the extractor that was searched says of the images of the chosen finalist, on the same noise.

    ``difference`` is what the choosing extractor's distance is above it: for twins that differ by their resize alone,
    what the resize makes.
    """
    chosen = found["chosen"]
    (score,) = score_candidates(context, evaluator, [rows[chosen]["item"].candidate], groups=groups)
    own = found["finalists"][chosen]["selection_score"]
    difference = None if score.value is None else own - score.value
    record = {"extractor": evaluator.extractor.name, "sha256": evaluator.extractor.identity}
    return {**record, "selection_score": score.value, "reason": score.reason, "difference": difference}
