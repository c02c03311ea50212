"""DINOv2 through timm, tried with tiny vision transformers of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from lcsc.errors import InputError
from lcsc.extractors import load_extractor
from lcsc.extractors.making import make_extractor
from lcsc.files import sha256_of

pytestmark = pytest.mark.usefixtures("one_thread")

# The class of DINOv2's networks in timm, in the smallest size that it has.
TINY = "test_vit"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    network = timm.create_model(TINY, pretrained=False, num_classes=0, img_size=64).eval()
    path = tmp_path_factory.mktemp("dinov2") / "tiny.pth"
    torch.save(network.state_dict(), path)
    return path, network


def settings(path, **other):
    defaults = {"size": 64, "resize": "pil-bicubic", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}
    return {"kind": "dinov2", "name": "dino", "architecture": TINY, "sha256": sha256_of(path), **defaults, **other}


def made(tmp_path, path, **other):
    make_extractor(settings(path, **other), tmp_path / "dino.safetensors", path)
    return load_extractor(tmp_path / "dino.safetensors")


def images(count, channels=3):
    return torch.rand(count, channels, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_timm_s_of_resized_and_normalised_images(saved, tmp_path, channels):
    path, network = saved
    batch = images(3, channels)
    extractor = made(tmp_path, path)
    resized = [
        [np.asarray(Image.fromarray(channel.numpy()).resize((64, 64), Image.Resampling.BICUBIC)) for channel in image]
        for image in batch
    ]
    values = ((torch.from_numpy(np.array(resized)) + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    with torch.no_grad():
        expected = network((values - mean) / std)
    torch.testing.assert_close(extractor(batch), expected, rtol=1e-5, atol=1e-5)
    assert (extractor.dimension, extractor.measured) == (expected.shape[1], {})
    assert not extractor.differentiable
    assert extractor.about["weights"] == {"file": "tiny.pth", "sha256": sha256_of(path)}


def test_a_differentiable_resize_passes_gradients_back(saved, tmp_path):
    extractor = made(tmp_path, saved[0], resize="bicubic-antialias")
    leaf = images(2).requires_grad_()
    extractor(leaf).square().sum().backward()
    assert extractor.differentiable
    assert leaf.grad.abs().max() > 0


def test_weights_of_another_size_are_resampled_once(saved, tmp_path):
    extractor = made(tmp_path, saved[0], size=96)
    assert extractor(images(2)).shape == (2, extractor.dimension)
    assert extractor.about["resize"] == {"size": 96, "mode": "pil-bicubic"}


def test_the_same_weights_give_the_same_bytes(saved, tmp_path):
    for name in ("one", "two"):
        make_extractor(settings(saved[0]), tmp_path / name, saved[0])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"architecture": "vit_none"}, "architecture is 'vit_none', expected a name that timm .* knows, such as"),
     ({"architecture": "test_vit2"}, r"tiny\.pth: timm .* cannot make weights of test_vit2"),
     ({"size": 60}, r"dino: cannot measure a grey image \(.*divisible by patch size.*change its settings, such as"),
     ({"sha256": "0" * 64}, "tiny.pth: sha256 .*, expected 000000000000: other weights")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(saved, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        make_extractor(settings(saved[0], **change), tmp_path / "x.safetensors", saved[0])
    assert not (tmp_path / "x.safetensors").exists()


def test_weights_that_lack_a_tensor_are_refused(saved, tmp_path):
    state = torch.load(saved[0], weights_only=True)
    del state["norm.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(InputError, match=r"less\.pth: timm .* cannot make weights of test_vit \(.*norm\.weight"):
        make_extractor(settings(tmp_path / "less.pth"), tmp_path / "x.safetensors", tmp_path / "less.pth")


class Evil:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('was-executed').touch()",)


def spoil(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"garbage", "cannot be read as plain tensors"),
     (b"\x80\x02garbage", "cannot be read as plain tensors"),
     ({"norm.weight": Evil()}, "found pickled Python code or classes .* refused, expected tensors only"),
     ({"epoch": 3}, "'epoch': found int, expected a tensor")],
)  # fmt: skip
def test_foreign_files_and_code_are_refused_whatever_timm_s_defaults_are(tmp_path, monkeypatch, content, message):
    loads = torch.load
    # As in timm 1.0.9, which asks for weights_only=False.
    monkeypatch.setattr(timm.models._helpers, "_torch_load", lambda path, **_: loads(path, weights_only=False), False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "other.pth"
    spoil(path, content)
    with pytest.raises(InputError, match=rf"other\.pth: {message}") as error:
        make_extractor(settings(path), tmp_path / "x.safetensors", path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "was-executed").exists()


@pytest.mark.parametrize(
    "wrap",
    [lambda state: {"model": state, "epoch": 3}, lambda state: {f"module.{key}": state[key] for key in state}],
)
def test_weights_as_training_code_nests_them_are_found(saved, tmp_path, wrap):
    path = tmp_path / "nested.pth"
    torch.save(wrap(saved[1].state_dict()), path)
    batch = images(2)
    expected = made(tmp_path, saved[0])(batch)
    assert torch.equal(made(tmp_path, path)(batch), expected)
