"""The guards of the final evaluation on a tiny run, and what a search keeps of its gain."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import CPU

from lcsc import columns as columns_of
from lcsc import seeds
from lcsc.columns import RealImages
from lcsc.data import load_part, to_float
from lcsc.gain import gain, with_gains
from lcsc.guards import Guards
from lcsc.metrics.frechet import frechet_distance
from lcsc.metrics.inception_score import feature_score
from lcsc.metrics.precision_recall import balls, compare_supports
from lcsc.reference import float_features, real_features
from lcsc.runtime import deterministic

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("cnn", "mlp")
SUPPORT = ("precision", "recall", "density", "coverage")


@pytest.fixture(scope="module")
def columns(tiny_run):
    references = [tiny_run.reference(name, part) for name in NAMES for part in ("train", "held-out")]
    return columns_of.make_columns([tiny_run.extractor(name) for name in NAMES], references)


@pytest.fixture(scope="module")
def real(tiny_run, columns):
    return columns_of.read_real_images(tiny_run.folder / "train.npz", tiny_run.folder / "held-out.npz", columns)


@pytest.fixture(scope="module")
def guards(real, columns):
    with deterministic(1):
        return Guards(real, columns, 1197, 0)


def features_of(columns, images):
    make = real_features if images.dtype == np.uint8 else float_features
    return {c.extractor.name: make(c.extractor, images, CPU) for c in columns}


def test_features_of_float_and_byte_images_are_the_same(tiny_run, real):
    extractor = tiny_run.extractor("cnn")
    images = load_part(tiny_run.folder / "held-out.npz").images
    expected = real_features(extractor, images, CPU)
    np.testing.assert_array_equal(float_features(extractor, to_float(real.held_out), CPU), expected)


def test_training_images_look_real_and_are_copies(guards, real, columns):
    """Training images in the place of generated ones: all guards but the one against copies are content."""
    found = guards.of_features(features_of(columns, real.train))
    assert list(found) == list(NAMES)
    for guard in found.values():
        assert min(guard["precision"], guard["recall"], guard["coverage"]) > 0.9
        assert guard["density"] == pytest.approx(1, abs=0.1)
    copies = guards.of_images(real.train)["copies"]
    assert copies["ratio"] == pytest.approx(0, abs=1e-6)
    assert copies["share"] == 1
    assert copies["expected"] == len(real.train) / (len(real.train) + len(real.held_out))


def test_noise_is_no_copy_and_does_not_look_real(guards, columns):
    images = np.random.default_rng(0).uniform(-1, 1, (1197, 1, 8, 8)).astype(np.float32)
    found = guards.of_features(features_of(columns, images))
    real = guards.of_real()
    for name in NAMES:
        assert found[name]["kd"]["held-out"]["mean"] > 20 * abs(real[name]["kd"]["held-out"]["mean"])
        assert found[name]["recall"] < 0.7
        assert found[name]["coverage"] < 0.6
    made = guards.of_images(images)
    assert made["copies"]["ratio"] > 1.2
    assert made["neighbours"]["train"]["mean"] == pytest.approx(made["copies"]["ratio"] * guards.real_distance)


def test_unseen_images_are_nearer_to_training_images_as_often_as_chance_says():
    """Points of one distribution: the nearest of all real ones is a training one by the share of training ones."""
    rng = np.random.default_rng(1)
    train, held_out, made = (rng.normal(size=(count, 1, 2, 2)).astype(np.float32) for count in (300, 100, 4000))
    found = Guards(RealImages(train, held_out), [], len(made), 0).of_images(made)["copies"]
    assert found["expected"] == 0.75
    assert found["share"] == pytest.approx(0.75, abs=0.06)
    assert found["ratio"] == pytest.approx(1, abs=0.15)


def test_pieces_are_as_large_as_the_held_out_images_and_their_mean_is_reported(guards, real, columns):
    assert guards.about == {
        "neighbours": 5,
        "images": 300,
        "pieces": 3,
        "kd_images": 300,
        "kd_subsets": 10,
        "jackknife_blocks": 20,
    }
    features = features_of(columns, real.train[::-1].copy())
    order = seeds.generator("guards", 0, 1).permutation(len(real.held_out))
    held_out = balls(features_of(columns, real.held_out[order])["mlp"])
    pieces = [compare_supports(held_out, balls(features["mlp"][at : at + 300])) for at in (0, 300, 600)]
    found = guards.of_features(features)["mlp"]
    for key in SUPPORT:
        assert found[key] == pytest.approx(np.mean([getattr(piece, key) for piece in pieces]), abs=1e-12)


def test_the_jackknife_is_of_the_distance_in_each_column(guards, real, columns):
    features = features_of(columns, real.train)["mlp"]
    found = guards.of_features({"mlp": features})["mlp"]["jackknife"]
    assert list(found) == ["held-out", "train"]
    column = next(column for column in columns if column.key == "mlp/held-out")
    edges = [len(features) * block // 20 for block in range(21)]
    left_out = [
        frechet_distance(np.delete(features, np.s_[edges[b] : edges[b + 1]], axis=0), column.reference.reference)
        for b in range(20)
    ]
    assert found["held-out"]["spread"] == pytest.approx(math.sqrt(19 * np.var(left_out)), rel=1e-6)


def test_guards_are_the_same_whoever_asks_in_which_order(real, columns, guards):
    images = real.train[:400]
    again = Guards(real, columns, 1197, 0)
    again.of_real()
    assert again.of_features(features_of(columns, images)) == guards.of_features(features_of(columns, images))
    other = Guards(real, columns, 1197, 1)
    assert other.of_features(features_of(columns, images)) != guards.of_features(features_of(columns, images))


@pytest.mark.parametrize("images", [2, 3, 7])
def test_few_images_still_have_guards(real, columns, images):
    few = Guards(real, columns, images, 0)
    found = few.of_features(features_of(columns, real.train[:images]))
    assert (found["cnn"]["jackknife"]["train"] is None) == (images == 2)
    assert 0 <= found["cnn"]["precision"] <= 1
    json.dumps([found, few.of_real(), few.about], allow_nan=False)


KEYS = (("cnn", "held-out", True), ("mlp", "held-out", False), ("cnn", "train", True), ("mlp", "train", False))
FAKE = [SimpleNamespace(key=f"{e}/{part}", part=part, searched=searched) for e, part, searched in KEYS]


def measured(name, family, values):
    columns = {}
    for column, value in zip(FAKE, values, strict=True):
        blocks = [value * shift for shift in (0.99, 1.0, 1.01)]
        columns[column.key] = {"values": blocks, "mean": value}
    return {"name": name, "family": family, "columns": columns}


BASE = measured("ema", "ema", (100, 50, 100, 50))


@given(st.floats(0.05, 0.9), st.floats(-1, 1.5))
def test_what_is_kept_is_the_ratio_of_gains_in_log_distance(ratio, kept):
    ours = measured("x", "search", (1, 50 * ratio**kept, 100 * ratio, 1))
    found = gain(ours, BASE, FAKE)
    assert found["searched"] == pytest.approx(-math.log(ratio))
    assert found["kept"] == pytest.approx(kept, abs=1e-9)
    assert found["column"] == "mlp/held-out"


def test_a_gain_that_noise_explains_cannot_be_kept():
    assert gain(measured("x", "search", (90, 45, 100, 50)), BASE, FAKE)["kept"] is None
    assert gain(measured("x", "search", (90, 45, 120, 50)), BASE, FAKE)["kept"] is None
    noisy = measured("x", "search", (90, 45, 90, 50))
    noisy["columns"]["cnn/train"]["values"] = [70, 90, 110]
    assert gain(noisy, BASE, FAKE)["kept"] is None


def test_without_an_unseen_extractor_held_out_images_count():
    searched = [column for column in FAKE if column.searched]
    found = gain(measured("x", "search", (50, 1, 25, 1)), BASE, searched)
    assert (found["column"], found["kept"]) == ("cnn/held-out", pytest.approx(0.5))


def test_of_several_unseen_extractors_the_least_gain_counts():
    more = [*FAKE, SimpleNamespace(key="third/held-out", part="held-out", searched=False)]
    ours, base = measured("x", "search", (1, 25, 25, 1)), measured("ema", "ema", (100, 50, 100, 50))
    ours["columns"]["third/held-out"] = {"values": [99.0], "mean": 99.0}
    base["columns"]["third/held-out"] = {"values": [100.0], "mean": 100.0}
    assert gain(ours, base, more)["column"] == "third/held-out"


def test_only_methods_that_lowered_a_distance_have_a_gain():
    rows = [measured("last", "last", (200, 90, 200, 90)), BASE, measured("g", "search", (50, 25, 50, 25))]
    rows.append(measured("tuned", "tuned", (50, 25, 50, 25)))
    assert [row["gain"] is not None for row in with_gains(rows, FAKE)] == [False, False, True, True]
    assert all(row["gain"] is None for row in with_gains([rows[0], rows[2]], FAKE))  # without a best EMA


def test_a_distance_of_zero_has_no_gain():
    assert gain(measured("x", "search", (0, 0, 0, 0)), BASE, FAKE) is None


def test_an_extractor_that_knows_classes_has_an_inception_score(real, columns):
    cnn, other = columns[0].extractor, columns[1].extractor
    weights = torch.randn(7, cnn.dimension, generator=torch.Generator().manual_seed(0))
    knowing = replace(cnn, module=WithClasses(cnn.module, weights))
    known = [replace(column, extractor=knowing) if column.extractor is cnn else column for column in columns]
    guards = Guards(real, known, 60, 0)
    found = guards.of_features(features_of(known, real.train[:60]))
    expected = feature_score(features_of(columns, real.train[:60])[cnn.name], weights)
    assert found[cnn.name]["inception_score"] == {"mean": expected[0], "spread": expected[1]}
    assert guards.of_real()[cnn.name]["inception_score"]["mean"] > 1
    assert "inception_score" not in found[other.name]


class WithClasses(torch.nn.Module):
    def __init__(self, body, weights):
        super().__init__()
        self.body = body
        self.register_buffer("class_weights", weights)

    def forward(self, images):
        return self.body(images)
