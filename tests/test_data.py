from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc import data
from lcsc.data import area
from lcsc.errors import InputError

DIGITS = {"source": "digits", "held_out": 600, "seed": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "digits-0123456789"
    data.prepare(DIGITS, folder)
    return folder


def npz_of(path: Path, **arrays) -> dict:
    np.savez(path, **arrays)
    return {"source": "npz", "path": str(path), "held_out": 4, "seed": 0}


def test_digits_are_split_into_stratified_parts_that_cover_the_source(folder):
    from sklearn.datasets import load_digits

    source = load_digits()
    train, held = data.load_part(folder / "train.npz"), data.load_part(folder / "held-out.npz")
    assert (len(train.images), len(held.images)) == (1197, 600)
    assert np.array_equal(np.sort(np.concatenate([train.indices, held.indices])), np.arange(1797))
    for part in (train, held):
        assert part.images.shape[1:] == part.image_shape == (1, 8, 8)
        expected = np.round(source.data[part.indices] * 255 / 16).reshape(-1, 1, 8, 8)
        assert np.array_equal(part.images, expected)
        assert np.array_equal(part.labels, source.target[part.indices])
    exact = np.bincount(source.target) * 600 / 1797
    assert np.abs(np.bincount(held.labels) - exact).max() < 1
    assert (train.part, held.part, held.data_id) == ("train", "held-out", "digits-0123456789")
    assert train.sha256 != held.sha256


def test_same_settings_same_bytes_and_another_seed_another_split(folder, tmp_path):
    data.prepare(DIGITS, tmp_path / "again", data_id=folder.name)
    data.prepare({**DIGITS, "seed": 1}, tmp_path / "other", data_id=folder.name)
    for name in ("train.npz", "held-out.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()
    with np.load(folder / "train.npz", allow_pickle=False) as arrays:
        assert json.loads(str(arrays["about"]))["part"] == "train"


def test_mnist_is_split_by_class_and_made_smaller_once(tmp_path):
    given = {"source": "mnist", "held_out": 1000, "seed": 0}
    data.prepare(given, tmp_path / "full")
    data.prepare({**given, "size": 16}, tmp_path / "small")
    for name, each in (("train.npz", 400), ("held-out.npz", 100)):
        full, small = data.load_part(tmp_path / "full" / name), data.load_part(tmp_path / "small" / name)
        assert (full.image_shape, small.image_shape) == ((1, 28, 28), (1, 16, 16))
        assert np.bincount(small.labels).tolist() == [each] * 10
        assert np.array_equal(full.indices, small.indices)
        assert np.array_equal(area.smaller(full.images, 16), small.images)
        assert full.images.max() == 255
    with np.load(tmp_path / "small" / "train.npz", allow_pickle=False) as arrays:
        assert json.loads(str(arrays["about"]))["resize"] == {"filter": "area", "size": 16}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(4, 30), min_size=1, max_size=5), st.integers(0, 5), st.data())
def test_every_label_gets_its_share_up_to_rounding(counts, seed, choice):
    labels = np.repeat(np.arange(len(counts)), counts)
    held_out = choice.draw(st.integers(-(-len(labels) // 3), len(labels) // 2))
    train, held = data.split(labels, held_out, seed)
    assert len(held) == held_out
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(len(labels)))
    assert (
        np.abs(np.bincount(labels[held], minlength=len(counts)) - np.array(counts) * held_out / len(labels)).max() < 1
    )


@pytest.mark.parametrize(
    ("labels", "held_out", "message"),
    [([0, 0, 1, 1], 0, "held_out is 0, expected 1 to 3"), ([0, 0, 1, 1], 4, "held_out is 4"),
     ([0] * 9 + [1], 2, "label 1 has 1 images")],
)  # fmt: skip
def test_impossible_splits_are_refused(labels, held_out, message):
    with pytest.raises(InputError, match=message):
        data.split(np.array(labels), held_out, 0)


@pytest.mark.parametrize("shape", [(12, 5, 4), (12, 1, 5, 4), (12, 3, 5, 4)])
def test_own_images_are_read(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    settings = npz_of(tmp_path / "own.npz", images=images, labels=np.arange(12) % 3)
    data.prepare(settings, tmp_path / "own")
    part = data.load_part(tmp_path / "own" / "train.npz")
    assert np.array_equal(part.images, images.reshape(12, -1, 5, 4)[part.indices])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"labels": np.zeros(6, int)}, "array 'images' or 'arr_0' is missing, found \\['labels'\\]"),
     ({"images": np.zeros((6, 2, 2)), "labels": np.zeros(6, int)}, r"images are float64 \[6, 2, 2\], exp"),
     ({"images": np.zeros((6, 4, 5, 4), np.uint8)}, r"images are uint8 \[6, 4, 5, 4\], .* with 1 or 3 channels"),
     ({"images": np.zeros((6, 2), np.uint8), "labels": np.zeros(6, int)}, r"images are uint8 \[6, 2\], exp"),
     ({"images": np.zeros((6, 2, 2), np.uint8), "labels": np.zeros(5, int)}, r"labels are int64 \[5\], expe"),
     ({"images": np.zeros((6, 2, 2), np.uint8), "labels": np.zeros(6)}, "labels are float64")],
)  # fmt: skip
def test_own_images_that_do_not_fit_are_refused_with_the_file(tmp_path, arrays, message):
    settings = npz_of(tmp_path / "own.npz", **arrays)
    with pytest.raises(InputError, match=f"own.npz: {message}"):
        data.prepare(settings, tmp_path / "own")
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"text, no archive"])
def test_damaged_parts_are_refused_with_the_file(folder, tmp_path, damage):
    broken = tmp_path / "train.npz"
    broken.write_bytes(damage((folder / "train.npz").read_bytes()))
    with pytest.raises(InputError, match=r"train.npz: cannot be read as a part"):
        data.load_part(broken)


def test_missing_files_foreign_files_and_pickles_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none.npz: not found"):
        data.load_part(tmp_path / "none.npz")
    npz_of(tmp_path / "foreign.npz", images=np.zeros((2, 1, 2, 2), np.uint8))
    with pytest.raises(InputError, match=r"foreign.npz: array 'about' is missing"):
        data.load_part(tmp_path / "foreign.npz")
    np.savez(tmp_path / "pickle.npz", images=np.array([{}], dtype=object), labels=np.zeros(1, int))
    with pytest.raises(InputError, match=r"pickle.npz: cannot be read"):
        data.prepare({"source": "npz", "path": str(tmp_path / "pickle.npz"), "held_out": 1, "seed": 0}, tmp_path / "x")
    with pytest.raises(InputError, match="source is 'web', expected one of cifar10, digits, folder"):
        data.prepare({**DIGITS, "source": "web"}, tmp_path / "x")
    with pytest.raises(InputError, match="source 'npz' has no path"):
        data.prepare({**DIGITS, "source": "npz"}, tmp_path / "x")


def test_another_version_or_part_name_is_refused(folder, tmp_path):
    with np.load(folder / "train.npz") as stored:
        arrays = dict(stored)
    arrays["about"] = np.array(json.dumps({"format": data.FORMAT, "format_version": 2, "part": "train"}))
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(InputError, match=r"new.npz: found format 'lcsc-images'"):
        data.load_part(tmp_path / "new.npz")


def test_held_out_images_are_refused_where_they_must_not_be_seen(folder):
    data.require_training_part(data.load_part(folder / "train.npz"), "training")
    with pytest.raises(InputError, match=r"held-out.npz: found the held-out part .* training never sees"):
        data.require_training_part(data.load_part(folder / "held-out.npz"), "training")


def test_bytes_lie_on_an_even_grid_from_minus_one_to_one():
    grid = data.to_float(np.arange(256, dtype=np.uint8))
    assert grid.dtype == np.float32
    assert (grid[0], grid[255]) == (-1, 1)
    assert np.abs(grid - (np.arange(256) / 127.5 - 1)).max() < 1e-7
    assert np.array_equal(data.to_float(torch.arange(256, dtype=torch.uint8)).numpy(), grid)


def test_quantising_keeps_the_grid_rounds_to_the_nearest_and_clamps():
    grid = data.to_float(torch.arange(256, dtype=torch.uint8))
    assert torch.equal(data.quantise(grid), grid)
    assert torch.equal(data.to_bytes(grid), torch.arange(256, dtype=torch.uint8))
    values = torch.linspace(-1.5, 1.5, 1001)
    rounded = data.quantise(values)
    assert torch.isin(rounded, grid).all()
    assert (rounded - values.clamp(-1, 1)).abs().max() <= 1 / 255 + 1e-6
    assert torch.equal(rounded, data.to_float(data.to_bytes(values)))
