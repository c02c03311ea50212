"""Pixels as features: averages over a grid, the share of the variance, gradients, and the file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import CPU, EXTRACTOR

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.data import Part, load_part, to_float
from lcsc.errors import InputError
from lcsc.extractors import load_extractor, save_extractor
from lcsc.extractors.classifier import build_body
from lcsc.extractors.pixels import Pixels, averages, scaled
from lcsc.files import canonical_json
from lcsc.metrics.reference_file import read_reference
from lcsc.reference import build_reference
from lcsc.runtime import deterministic
from lcsc.training.classifier import train_extractor

SHARE = 0.3
SETTINGS = {**EXTRACTOR, "architecture": "cnn", "seed": 0}


@pytest.fixture(scope="module")
def part(tiny_run) -> Part:
    return load_part(tiny_run.folder / "train.npz")


@pytest.fixture(scope="module")
def joint(tiny_run, part, tmp_path_factory):
    """The tiny run's cnn again, with pixels of half the size."""
    path = tmp_path_factory.mktemp("joint") / "joint.safetensors"
    with deterministic(1):
        train_extractor({**SETTINGS, "pixels": {"share": SHARE, "size": 4}}, part, path)
    return path


@given(st.integers(1, 12), st.integers(1, 4))
def test_pixels_of_a_whole_number_to_one_are_averaged_as_pytorch_does(size, times):
    images = torch.randn(2, 3, size * times, size * times, generator=torch.Generator().manual_seed(size))
    plain = torch.nn.functional.avg_pool2d(images, times).flatten(1)
    found = Pixels(images.shape[1:], size)(images)
    torch.testing.assert_close(found, plain)
    assert found.shape[1] == Pixels(images.shape[1:], size).values == 3 * size * size


@given(st.integers(1, 30), st.integers(1, 30))
def test_averages_use_every_pixel_alike(length, size):
    size = min(length, size)
    rows = averages(length, size).double().numpy()
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(rows.sum(axis=0), size / length, rtol=1e-6)


def test_small_images_stay_as_they_are():
    images = torch.randn(2, 1, 3, 8)
    assert torch.equal(Pixels((1, 3, 8), 8)(images), images.flatten(1))


def test_the_body_is_the_one_without_pixels_and_the_pixels_have_their_share(tiny_run, part, joint):
    alone, both = tiny_run.extractor("cnn"), load_extractor(joint)
    images = torch.from_numpy(to_float(part.images))
    with deterministic(1):
        features = both(images).double()
        assert torch.equal(both(images[:50])[:, :6], alone(images[:50]))
    assert (both.dimension, both.about["dimension"], features.shape[1]) == (22, 6, 22)
    variances = features.var(dim=0)
    assert float(variances[6:].sum() / variances.sum()) == pytest.approx(SHARE, rel=1e-5)
    assert (alone.words, both.words) == ("cnn", "joint: cnn + pixels")
    assert both.identity != alone.identity


def test_the_same_settings_give_the_same_bytes(part, joint, tmp_path):
    with deterministic(1):
        again = {**SETTINGS, "pixels": {"share": SHARE, "size": 4}}
        train_extractor(again, part, tmp_path / "joint.safetensors")
    assert (tmp_path / "joint.safetensors").read_bytes() == joint.read_bytes()


def test_features_are_differentiable_in_every_pixel(joint):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((2, 1, 8, 8), generator=generator).requires_grad_()
    extractor = load_extractor(joint)
    extractor(images)[:, 6:].sum().backward()
    expected = extractor.about["pixels"]["scale"] / 4  # four pixels to one
    torch.testing.assert_close(images.grad, torch.full_like(images, expected))


def test_its_reference_has_the_joint_dimension(tiny_run, joint, tmp_path):
    with deterministic(1):
        build_reference(tiny_run.folder / "train.npz", joint, tmp_path / "joint.h5", CPU)
    assert read_reference(tmp_path / "joint.h5").reference.statistics.dimension == 22


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"share": 1.0, "size": 4}, r"pixels\.share 1\.0"), ({"share": 0.1, "size": 0}, r"pixels\.size 0")],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        scaled(torch.nn.Flatten(), torch.rand(5, 1, 2, 2), settings)


def test_images_that_are_all_alike_are_refused():
    with pytest.raises(InputError, match="total variance 0 of the features, 0 of the pixels"):
        scaled(torch.nn.Flatten(), torch.ones(5, 1, 2, 2), {"share": 0.1, "size": 2})


@pytest.mark.parametrize("pixels", [{"size": 4}, {"size": 4, "scale": 0.0}, {"size": 0, "scale": 1.0}, "all"])
def test_files_with_impossible_pixels_are_refused(tmp_path, pixels):
    torch.manual_seed(0)
    about = {"kind": "classifier", "name": "x", "architecture": "cnn", "dimension": 6, "image_shape": [1, 8, 8]}
    path = tmp_path / "x.safetensors"
    save_extractor(path, build_body("cnn", [1, 8, 8], 6), {**about, "pixels": pixels})
    with pytest.raises(InputError, match=r"x\.safetensors: pixels are .*expected a size and a positive scale"):
        load_extractor(path)


def test_extractors_without_pixels_say_nothing_of_them(tiny_run):
    metadata = SafetensorsFormat().read(tiny_run.folder / "cnn.safetensors").metadata
    assert "pixels" not in json.loads(metadata["about"])
    assert canonical_json(tiny_run.extractor("cnn").record).count("cnn") == 2
