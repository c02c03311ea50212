"""Few images for many features, and published statistics, are said beside the result table."""

from types import SimpleNamespace

import numpy as np

from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.reference_words import reference_words


def column(count, dimension, part="held-out", **about):
    reference = Reference.of(feature_statistics(np.random.default_rng(0).normal(size=(count, dimension))))
    extractor = SimpleNamespace(name="net", dimension=dimension)
    stored = SimpleNamespace(reference=reference, about=about)
    return SimpleNamespace(extractor=extractor, part=part, reference=stored, distance="FD (net)")


def test_nothing_is_said_where_there_are_enough_images():
    assert reference_words([column(50, 6)], 1000) == []


def test_a_singular_reference_is_said_with_its_numbers():
    (words,) = reference_words([column(50, 6, "train"), column(5, 6)], 1000)
    assert words.startswith("FD (net), held-out: 5 real images for 6 features, a covariance of rank 4")
    assert "KD" in words


def test_few_generated_images_are_said_once_for_each_extractor():
    (words,) = reference_words([column(50, 6, "train"), column(50, 6)], 6)
    assert words.startswith("6 generated images have a singular covariance of 6 features (net)")


def test_published_statistics_are_named():
    words = reference_words([column(50, 6, origin="edm: cifar10.npz, sha256 ab")], 1000)
    assert words == ["FD (net), held-out: published statistics of 50 images (edm: cifar10.npz, sha256 ab)."]
