from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tiny import EXTRACTOR
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.data import load_part
from lcsc.errors import InputError
from lcsc.extractors import load_extractor, save_extractor
from lcsc.extractors.classifier import ARCHITECTURES, build_body
from lcsc.files import sha256_of
from lcsc.training.classifier import train_extractor

ABOUT = {
    "kind": "classifier",
    "name": "small",
    "architecture": "cnn",
    "dimension": 6,
    "image_shape": [2, 7, 5],
}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    body = build_body("cnn", ABOUT["image_shape"], 6)
    save_extractor(tmp_path / "small.safetensors", body, ABOUT)
    return tmp_path / "small.safetensors", body


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (2, 1, 1)])
def test_bodies_give_features_of_any_image_shape(architecture, shape):
    body = build_body(architecture, shape, 6)
    assert body(torch.zeros(4, *shape)).shape == (4, 6)
    assert isinstance(body[-1], nn.Linear)


def test_a_cnn_with_stages_halves_the_sides_as_often_and_one_is_what_there_is_without():
    torch.manual_seed(0)
    plain = build_body("cnn", (1, 8, 8), 6)
    torch.manual_seed(0)
    one = build_body("cnn", (1, 8, 8), 6, stages=1)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), one.parameters(), strict=True))
    assert [tuple(p.shape) for p in plain.parameters() if p.dim() > 1] == [
        (16, 1, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (6, 32 * 16)
    ]  # fmt: skip
    for shape, stages, places in (((1, 28, 28), 3, 16), ((3, 32, 32), 3, 16), ((1, 16, 16), 2, 16)):
        body = build_body("cnn", shape, 6, stages=stages)
        assert body[-1].in_features == 16 * 2**stages * places
        assert body(torch.zeros(2, *shape)).shape == (2, 6)
    assert build_body("cnn", (1, 8, 8), 6, stages=5, width=4)[-1].in_features == 4 * 8
    assert build_body("mlp", (1, 8, 8), 6, width=40)[1].out_features == 40


def test_a_loaded_extractor_is_the_saved_body_frozen(saved):
    path, body = saved
    extractor = load_extractor(path)
    images = torch.rand(3, 2, 7, 5) * 2 - 1
    features = extractor(images)
    assert torch.equal(features, body(images))
    assert (features.dtype, features.requires_grad) == (torch.float32, False)
    assert not any(parameter.requires_grad for parameter in extractor.module.parameters())
    assert (extractor.name, extractor.dimension, extractor.image_shape) == ("small", 6, (2, 7, 5))
    assert extractor.identity == sha256_of(path)


def test_features_are_differentiable_with_respect_to_images(saved):
    images = torch.rand(3, 2, 7, 5).requires_grad_()
    load_extractor(saved[0])(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_the_same_body_gives_the_same_bytes_and_loading_leaves_random_numbers_alone(saved, tmp_path):
    path, body = saved
    save_extractor(tmp_path / "again.safetensors", body, dict(reversed(ABOUT.items())))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    before = torch.random.get_rng_state()
    load_extractor(path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_of_another_shape_are_refused(saved):
    with pytest.raises(InputError, match=r"extractor small: found images of shape \[1, 8, 8\], expected \[2, 7, 5\]"):
        load_extractor(saved[0])(torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "magic"}, "kind is 'magic', expected one of classifier, dinov2, efficientnet_lite0, inception"),
     ({"architecture": "rnn"}, "architecture is 'rnn', expected one of cnn, mlp"),
     ({"dimension": 0}, "expected a positive dimension"),
     ({"dimension": 7}, "does not hold a cnn body"),
     ({"image_shape": [8]}, r"expected a positive dimension and \[channels, height, width\]")],
)  # fmt: skip
def test_files_whose_facts_do_not_fit_are_refused(saved, tmp_path, change, message):
    save_extractor(tmp_path / "wrong.safetensors", saved[1], {**ABOUT, **change})
    with pytest.raises(InputError, match=message):
        load_extractor(tmp_path / "wrong.safetensors")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [({}, "found format None"),
     ({"about": "no json"}, "found format None"),
     ({"about": "[1]"}, "found format None"),
     ({"about": '{"format":"lcsc-extractor","format_version":1,"kind":"classifier","name":"a"}'},
      "metadata has no 'dimension'")],
)  # fmt: skip
def test_foreign_files_are_refused(tmp_path, metadata, message):
    SafetensorsFormat().write(tmp_path / "foreign.safetensors", {"a": torch.zeros(2)}, metadata)
    with pytest.raises(InputError, match=f"foreign.safetensors: {message}"):
        load_extractor(tmp_path / "foreign.safetensors")


def test_truncated_and_missing_files_are_refused(saved, tmp_path):
    short = tmp_path / "short.safetensors"
    short.write_bytes(saved[0].read_bytes()[:-10])
    for path in (short, tmp_path / "none.safetensors"):
        with pytest.raises(InputError, match=f"{path.name}: "):
            load_extractor(path)


def test_a_classifier_with_stages_is_trained_and_read_again(tiny_run, tmp_path):
    part = load_part(tiny_run.folder / "train.npz")
    settings = {**EXTRACTOR, "architecture": "cnn", "steps": 3, "seed": 0, "stages": 2, "width": 4}
    train_extractor(settings, part, tmp_path / "deep.safetensors", "deep")
    extractor = load_extractor(tmp_path / "deep.safetensors")
    assert (extractor.about["stages"], extractor.about["width"]) == (2, 4)
    assert extractor(torch.zeros(2, *part.image_shape)).shape == (2, extractor.dimension)
    unlabelled = dataclasses.replace(part, labels=np.zeros_like(part.labels))
    with pytest.raises(InputError, match=r"found 1 label, expected two or more .*kind: efficientnet_lite0"):
        train_extractor(settings, unlabelled, tmp_path / "none.safetensors")
