"""The Inception score on distributions whose score is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.metrics.inception_score import classifier_score, feature_score


def test_one_image_of_each_class_scores_the_number_of_classes():
    assert classifier_score(np.tile(np.eye(7), (10, 1)), 1) == (pytest.approx(7), 0.0)
    mean, spread = classifier_score(np.tile(np.eye(7), (10, 1)), 10)
    assert (mean, spread) == (pytest.approx(7), pytest.approx(0, abs=1e-12))


def test_images_alike_score_one():
    row = np.random.default_rng(0).dirichlet(np.ones(20))
    assert classifier_score(np.tile(row, (50, 1)))[0] == pytest.approx(1)
    assert classifier_score(np.tile(np.eye(7)[2], (50, 1)))[0] == pytest.approx(1)


def test_two_kinds_of_images_by_hand():
    rows = np.array([[0.9, 0.1], [0.2, 0.8]])
    middle = np.array([0.55, 0.45])
    expected = np.exp((rows * np.log(rows / middle)).sum(axis=1).mean())
    assert classifier_score(rows, 1)[0] == pytest.approx(expected, rel=1e-12)


@given(st.integers(10, 60), st.integers(2, 9), st.integers(0, 99), st.integers(1, 5))
def test_lies_between_one_and_the_number_of_classes(count, classes, seed, pieces):
    rows = np.random.default_rng(seed).dirichlet(np.full(classes, 0.2), count)
    mean, spread = classifier_score(rows, pieces)
    assert 1 - 1e-12 <= mean <= classes + 1e-12
    assert spread >= 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [(np.ones((10, 2)), "do not sum to 1"), (np.full((20, 2), [-1.0, 2.0]), "below 0"), (np.ones(9), r"shape \(9,\)"),
     (np.full((5, 2), 0.5), "N >= 10 pieces"), (np.full((20, 2), np.nan), "do not sum to 1")],
)  # fmt: skip
def test_what_is_no_probability_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        classifier_score(rows)


def test_features_score_as_the_softmax_of_their_logits():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(40, 6)), rng.normal(size=(9, 6))
    exponentials = np.exp(features @ weights.T)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert feature_score(features, weights, 4) == pytest.approx(classifier_score(probabilities, 4), rel=1e-12)
    assert feature_score(1e4 * features, weights, 4)[0] <= 9  # no overflow
