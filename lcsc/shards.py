"""One generation's scores from several jobs: the same bytes as from one.

A generation of values is shared out by whole candidates, in the blocks in which they are combined: one stage,
``forward``, gives their scores. A score with its gradient is shared out by images, each shard a branch of the fixed
parts that :mod:`lcsc.gradients` sums along a tree: ``forward`` gives the features of its images, and ``backward``,
which needs the features of all, its sum of the gradient in the weights. Joining adds these sums along the same tree.

A generation may need no second stage although its search uses gradients (its first, where the start points are
scored by value, one whose scores are known, and all after it has stopped): ``backward`` then hands on what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lcsc.errors import InputError
from lcsc.evaluation import Score, refused_weights
from lcsc.gradients import PARTS, GradientEvaluator, refused_gradient
from lcsc.progress import Progress
from lcsc.search.base import Candidate
from lcsc.search.journal import Journal
from lcsc.search_scoring import Done, SearchScoring
from lcsc.shard_files import FloatArray, Shard, Share, Task
from lcsc.tree_sum import TreeSum


def forward(
    scoring: SearchScoring, candidates: Sequence[Candidate], journal: Journal, task: Task, shard: Shard
) -> Share:
    """The first stage: the scores of this shard's candidates, or the features of its images of each candidate."""
    began = time.perf_counter()
    if not task.with_gradients:
        scores = _values(scoring, candidates, journal, shard)
        return _share(scoring, Share(task, "forward", shard, scores), began)
    known = {place: journal.get(candidate, with_gradient=True) for place, candidate in enumerate(candidates)}
    scores = {place: score for place, score in known.items() if score is not None}
    arrays: dict[int, FloatArray] = {}
    for place, candidate in enumerate(candidates):
        if place in scores:
            continue
        evaluator, weights = scoring.gradients_of(candidate), scoring.weights(candidate)
        reason = refused_weights(weights)
        if reason is None:
            arrays[place] = evaluator.features(weights, _parts(evaluator, shard))
        else:
            scores[place] = Score(None, reason)
    return _share(scoring, Share(task, "forward", shard, scores, arrays=arrays), began)


def _share(scoring: SearchScoring, share: Share, began: float, before: float = 0.0) -> Share:
    """The share with the time it took and the device."""
    return replace(share, seconds=before + time.perf_counter() - began, device=scoring.context.device.type)


def _values(
    scoring: SearchScoring, candidates: Sequence[Candidate], journal: Journal, shard: Shard
) -> dict[int, Score]:
    block = scoring.context.block
    blocks = shard.of(-(-len(candidates) // block))
    places = range(len(candidates))[blocks.start * block : blocks.stop * block]
    progress = Progress("evaluations of this shard", len(places))
    own = [candidates[place] for place in places]
    found = scoring(own, journal, False, lambda score, known: progress.advance(free=known))
    return dict(zip(places, found, strict=True))


def _parts(evaluator: GradientEvaluator, shard: Shard) -> list[tuple[int, int]]:
    """The shard's branch of the fixed parts of the images."""
    places = shard.of(PARTS)
    return evaluator.parts[places.start : places.stop]


def backward(scoring: SearchScoring, candidates: Sequence[Candidate], shares: Sequence[Share], shard: Shard) -> Share:
    """The second stage: this shard's sum of the gradient of each candidate that ``shares``, all of the first, leave."""
    began = time.perf_counter()
    task, scores = shares[0].task, _settled(shares)
    values: dict[int, float] = {}
    arrays: dict[int, FloatArray] = {}
    for place, candidate in enumerate(candidates):
        if place in scores:
            continue
        evaluator = scoring.gradients_of(candidate)
        parts = _parts(evaluator, shard)
        features = _each(shares, place, "features")
        value, slopes, reason = evaluator.slopes(np.concatenate(features))
        if slopes is None or value is None:
            scores[place] = Score(None, reason)
            continue
        values[place] = value
        found = evaluator.gradient(scoring.weights(candidate), features[shard.index - 1], slopes, parts)
        # Fewer chunks of images than shards: an empty array is this shard's sum of nothing.
        arrays[place] = np.zeros(0) if found is None else found
    share = Share(task, "backward", shard, scores, values, arrays)
    return _share(scoring, share, began, before=shares[shard.index - 1].seconds)


@dataclass(frozen=True)
class Joined:
    """Scores a generation from the shares of its last stage; stands where :class:`SearchScoring` does.

    ``read`` gives them for a task's candidates and whether gradients are wanted; ``took`` sees the seconds that all
    shards took together.
    """

    scoring: SearchScoring
    read: Callable[[Sequence[Candidate], bool], list[Share]]
    took: Callable[[float], None] = lambda seconds: None

    def __call__(
        self, candidates: Sequence[Candidate], journal: Journal, with_gradients: bool, done: Done
    ) -> list[Score]:
        """The scores of ``candidates``, with gradients in their coefficients where they are wanted."""
        shares = self.read(candidates, with_gradients)
        self.took(sum(share.seconds for share in shares))
        settled = _settled(shares)
        scores = []
        for place, candidate in enumerate(candidates):
            score = settled.get(place)
            if score is None:
                score = self._summed(shares, place)
            if with_gradients and journal.get(candidate, with_gradient=True) is None:
                journal.add(candidate, score, with_gradient=True)
            done(score, False)
            scores.append(score)
        return scores

    def _summed(self, shares: Sequence[Share], place: int) -> Score:
        arrays = _each(shares, place, "score")
        missing = next((share for share in shares if place not in share.values), None)
        if missing is not None:
            raise InputError(
                f"shards: shard {missing.shard} of the stage {missing.stage} has no distance of candidate {place}; a "
                "search that asks for gradients needs the stage backward (its class says needs_gradient)"
            )
        values = {share.values[place] for share in shares}
        if len(values) != 1:
            raise InputError(
                f"shards: candidate {place} has the distances {sorted(values)}, expected one; the shards' machines "
                "calculate differently: run all shards on machines of one kind"
            )
        total = TreeSum(len(shares))
        for index, array in enumerate(arrays):
            total.add(index, np.asarray(array, dtype=np.float64) if array.size else None)
        assert total.value is not None  # there are images
        reason = refused_gradient(total.value)
        if reason is not None:
            return Score(None, reason)
        return self.scoring.with_rows(Score(values.pop(), None), total.value)


def _settled(shares: Sequence[Share]) -> dict[int, Score]:
    """All scores that the shares hold."""
    return {place: score for share in shares for place, score in share.scores.items()}


def _each(shares: Sequence[Share], place: int, what: str) -> list[FloatArray]:
    """Each shard's array for a candidate."""
    missing = next((share for share in shares if place not in share.arrays), None)
    if missing is not None:
        raise InputError(
            f"shards: shard {missing.shard} of the stage {missing.stage} has no {what} of candidate {place}; run it "
            "again"
        )
    return [share.arrays[place] for share in shares]
