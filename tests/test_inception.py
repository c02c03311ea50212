"""Inception: clean-fid's features to the last digits, by networks of random weights with the published signatures."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from cleanfid import features as cleanfid_features
from cleanfid import fid as cleanfid_fid
from cleanfid import inception_pytorch
from cleanfid.inception_torchscript import InceptionV3W
from cleanfid.resize import build_resizer
from stand_ins import pytorch_fid_inception, torchscript_inception
from tiny import CPU

from lcsc.data import to_float
from lcsc.errors import InputError, LcscError
from lcsc.extractors import load_extractor, weights
from lcsc.extractors.making import make_extractor
from lcsc.extractors.resizing import write_twin
from lcsc.files import sha256_of
from lcsc.reference import real_features

pytestmark = pytest.mark.usefixtures("one_thread")

MODES = ("clean", "legacy_pytorch", "legacy_tensorflow")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inception")
    script = torchscript_inception(folder / "inception-2015-12-05.pt")
    return {
        **dict.fromkeys(("clean", "legacy_tensorflow"), script),
        "legacy_pytorch": pytorch_fid_inception(folder / "pt_inception-2015-12-05-6726825d.pth"),
    }


@pytest.fixture(scope="module")
def made(files):
    paths = {}
    for mode, path in files.items():
        paths[mode] = path.with_name(f"{mode}.safetensors")
        make_extractor(settings(files, mode), paths[mode], path)
    return paths


def settings(files, mode, **other):
    sha256 = sha256_of(files[mode])
    return {"kind": "inception", "name": "inc", "mode": mode, "sha256": sha256, "resize": None, **other}


def real_images(count, channels=3, size=20):
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, channels, 5, 5)))
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear").round().byte().numpy()


def cleanfid_s_own(mode, path, images, monkeypatch):
    """What clean-fid's own functions make of uint8 ``images``: its extractor, its resizing, its batches."""
    monkeypatch.setattr(
        cleanfid_features,
        "InceptionV3W",
        lambda _, download, resize_inside: InceptionV3W(str(path.parent), False, resize_inside),
    )
    state = torch.load(path, weights_only=True) if mode == "legacy_pytorch" else None
    monkeypatch.setattr(inception_pytorch, "load_state_dict_from_url", lambda *_, **__: state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = cleanfid_features.build_feature_extractor(mode, CPU, use_dataparallel=False)
        resize = build_resizer(mode)
    batch = np.stack([resize(image.transpose(1, 2, 0)).transpose(2, 0, 1) for image in images])
    return cleanfid_fid.get_batch_features(torch.from_numpy(batch).float(), network, CPU)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_clean_fid_s(made, files, mode, channels, monkeypatch):
    images = real_images(3, channels)
    expected = cleanfid_s_own(mode, files[mode], np.repeat(images, 3 // channels, axis=1), monkeypatch)
    extractor = load_extractor(made[mode])
    found = real_features(extractor, images, CPU)
    assert (found.shape, extractor.dimension) == ((3, 2048), 2048)
    assert expected.std(axis=0).max() > 0.01 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_last_layer_makes_class_scores_where_the_file_has_it(made, files):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        network = torch.jit.load(files["clean"])
    for mode in ("clean", "legacy_tensorflow"):
        assert torch.equal(load_extractor(made[mode]).class_weights, network.state_dict()["output.weight"])
    assert load_extractor(made["legacy_pytorch"]).class_weights is None


def test_modes_differ(made):
    found = [real_features(load_extractor(made[mode]), real_images(3), CPU) for mode in ("clean", "legacy_tensorflow")]
    assert np.abs(found[0] - found[1]).max() > 1e-3 * np.abs(found[0]).max()


@pytest.mark.parametrize("mode", MODES)
def test_what_it_says_of_itself(made, files, mode):
    extractor = load_extractor(made[mode])
    assert extractor.record["measure"] == extractor.measured["measure"] == f"FID ({mode})"
    assert extractor.about["resize"] == {"size": 299, "mode": mode}
    assert extractor.about["weights"] == {"file": weights_name(mode), "sha256": sha256_of(files[mode])}
    assert not extractor.differentiable


def weights_name(mode):
    return "pt_inception-2015-12-05-6726825d.pth" if mode == "legacy_pytorch" else "inception-2015-12-05.pt"


@pytest.mark.parametrize("mode", ["clean", "legacy_pytorch"])
def test_a_twin_has_gradients_and_nearly_the_same_features_and_is_not_called_fid(made, files, mode, tmp_path):
    write_twin(made[mode], tmp_path / "twin.safetensors")
    resize = "bicubic-antialias" if mode == "clean" else "bilinear-antialias"
    make_extractor(settings(files, mode, resize=resize, name="inc-twin"), tmp_path / "own.safetensors", files[mode])
    twin, own = (load_extractor(tmp_path / f"{name}.safetensors") for name in ("twin", "own"))
    assert (twin.record["name"], twin.measured, own.measured) == ("inc-twin", {}, {})
    assert twin.differentiable
    images = torch.from_numpy(to_float(real_images(1))).requires_grad_()
    found, exact = twin(images), load_extractor(made[mode])(images)
    assert not exact.requires_grad
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-4 * float(exact.abs().max()))
    assert torch.equal(found, own(images))
    assert found.requires_grad
    if mode == "clean":  # the other's network is whole, and takes long
        found.square().sum().backward()
        assert images.grad.abs().max() > 0


def test_files_are_the_same_bytes_wherever_the_weights_lie(made, files, tmp_path):
    moved = tmp_path / "moved.pt"
    moved.write_bytes(files["clean"].read_bytes())
    make_extractor(settings(files, "clean"), tmp_path / "again.safetensors", moved)
    assert (tmp_path / "again.safetensors").read_bytes() == made["clean"].read_bytes()


def test_loading_leaves_random_numbers_and_clean_fid_alone(made):
    before, download = torch.random.get_rng_state(), inception_pytorch.load_state_dict_from_url
    load_extractor(made["legacy_pytorch"])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert inception_pytorch.load_state_dict_from_url is download


def test_missing_and_foreign_weights_are_refused(files, tmp_path):
    known = {**settings(files, "clean"), "sha256": None}
    with pytest.raises(InputError, match=r"none\.pt: not found, .*lcsc fetch inception-2015-12-05\.pt --output FILE"):
        make_extractor(known, tmp_path / "x.safetensors", tmp_path / "none.pt")
    with pytest.raises(InputError, match="--weights: found nothing"):
        make_extractor(known, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"sha256 .*, expected f58cb9b6ec32: other weights measure another distance"):
        make_extractor(known, tmp_path / "x.safetensors", files["clean"])
    other = tmp_path / "other.pt"
    other.write_bytes(b"no TorchScript")
    wrong = {**known, "sha256": sha256_of(other)}
    with pytest.raises(InputError, match=r"other\.pt: does not hold a network of Inception, clean"):
        make_extractor(wrong, tmp_path / "x.safetensors", other)
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x02garbage", b"PK\x03\x04garbage"])
def test_foreign_files_of_pytorch_fid_are_refused_in_one_line(files, tmp_path, content):
    other = tmp_path / "other.pth"
    other.write_bytes(content)
    wrong = {**settings(files, "legacy_pytorch"), "sha256": sha256_of(other)}
    with pytest.raises(InputError, match=r"other\.pth: cannot be read as ") as error:
        make_extractor(wrong, tmp_path / "x.safetensors", other)
    assert "\n" not in str(error.value)


class Answer(io.BytesIO):
    pass


@pytest.fixture
def published(monkeypatch):
    content = b"the weights"
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return Answer(content)

    monkeypatch.setattr(weights.urllib.request, "urlopen", answer)
    digest = weights.hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(weights.SOURCES, "w.pt", weights.Source("https://example.org/w.pt", digest))
    monkeypatch.setitem(weights.SOURCES, "bad.pt", weights.Source("https://example.org/bad.pt", "0" * 64))
    return asked


def test_weights_are_fetched_once_and_checked(published, tmp_path):
    target = tmp_path / "deep" / "w.pt"
    weights.fetch("w.pt", target)
    weights.fetch("w.pt", target)
    assert (target.read_bytes(), published) == (b"the weights", ["https://example.org/w.pt"])
    with pytest.raises(LcscError, match=r"bad\.pt: sha256 .*, expected 000000000000; try again, or download https://"):
        weights.fetch("bad.pt", tmp_path / "bad.pt")
    assert not any(path.name.startswith((".bad", "bad")) for path in tmp_path.iterdir())
    with pytest.raises(InputError, match="lcsc fetch: found 'none', expected one of inception-2015-12-05"):
        weights.fetch("none", target)


def test_a_machine_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    def refuse(url, timeout):
        raise weights.urllib.error.URLError("no route to host")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    with pytest.raises(LcscError, match=r"no route to host.*download https://.* elsewhere, and name the file as the"):
        weights.fetch("inception-2015-12-05.pt", tmp_path / "w.pt")
