"""The Inception score: how sure a classifier is of each image, and how many classes it sees in all.

exp(mean_x KL(p(y | x) || p(y))) with p(y) the mean of p(y | x), over pieces of the images (Salimans et al. 2016: 10
pieces of 5,000). It is called so only with the probabilities of Inception-V3's 1,008 classes, which clean-fid's network
gives before its last layer is cut off; with those of another classifier it is a classifier score of that classifier.
It looks at no real image, so a generator that shows one perfect image of each class has the best score: it is here for
comparison with old tables, and chooses nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

PIECES = 10


def classifier_score(probabilities: ArrayLike, pieces: int = PIECES) -> tuple[float, float]:
    """Mean and standard deviation over ``pieces`` (0 for one) of the score of ``probabilities`` [N, classes].

    Each row sums to 1. The score lies between 1 and the number of classes.
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    if rows.ndim != 2 or not 1 <= pieces <= len(rows):
        raise ValueError(f"probabilities: found shape {rows.shape}, expected [N, classes] with N >= {pieces} pieces")
    if not (rows >= 0).all() or not np.allclose(rows.sum(axis=1), 1.0, rtol=0, atol=1e-4):
        raise ValueError("probabilities: found rows that do not sum to 1 or are below 0, expected softmax of logits")
    scores = [_score(piece) for piece in np.array_split(rows, pieces)]
    return float(np.mean(scores)), float(np.std(scores, ddof=1)) if pieces > 1 else 0.0


def feature_score(features: ArrayLike, weights: ArrayLike, pieces: int = PIECES) -> tuple[float, float]:
    """:func:`classifier_score` of the classes of ``features`` [N, D] by the last layer's ``weights`` [classes, D].

    Without that layer's bias, as the original code scores Inception's features.
    """
    logits = np.asarray(features, dtype=np.float64) @ np.asarray(weights, dtype=np.float64).T
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits, out=logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return classifier_score(probabilities, min(pieces, len(probabilities)))


def _score(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    middle = rows.mean(axis=0)
    # 0 log 0 is 0; where the mean is 0, so is every row.
    ratio = np.divide(rows, middle, out=np.ones_like(rows), where=rows > 0)
    return float(np.exp((rows * np.log(ratio)).sum(axis=1).mean()))
