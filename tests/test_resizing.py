"""Resizing before an extractor: Pillow's, and the twin that is differentiable."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_cli import lcsc, measures, one_error_line, settings
from tiny import CPU, SCORING

from lcsc.errors import InputError
from lcsc.extractors import load_extractor, save_extractor
from lcsc.extractors.classifier import build_body
from lcsc.extractors.resizing import Antialiased, Pil, write_twin
from lcsc.reference import build_reference
from lcsc.runtime import deterministic

GRADIENT = {"method": "gradient", "seed": 0, "groups": "all", "initial_rates": [0.9], "penalty": 0.0, "bound": None}


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("length", "size"), [(8, 16), (32, 13), (8, 8)])
def test_the_differentiable_resize_is_pillows(name, length, size):
    images = torch.rand(3, 2, length, length, generator=torch.Generator().manual_seed(0)) * 2 - 1
    exact, twin = Pil(size, f"pil-{name}")(images), Antialiased(size, f"{name}-antialias")
    assert exact.shape == (3, 2, size, size)
    torch.testing.assert_close(twin(images), exact, rtol=0, atol=2e-6)
    leaf = images.clone().requires_grad_()
    assert twin(leaf).requires_grad
    assert not Pil(size, f"pil-{name}")(leaf).requires_grad


def stand_in(path, size=12, mode="pil-bicubic"):
    """An extractor of random weights behind a resize, as clean-fid's Inception is."""
    torch.manual_seed(0)
    about = {"kind": "classifier", "name": "stand-in", "architecture": "cnn", "dimension": 6, "image_shape": [1, 8, 8]}
    save_extractor(path, build_body("cnn", (1, size, size), 6), {**about, "resize": {"size": size, "mode": mode}})
    return path


def test_a_twin_differs_by_its_resize_alone(tmp_path):
    exact = load_extractor(stand_in(tmp_path / "exact.safetensors"))
    write_twin(tmp_path / "exact.safetensors", tmp_path / "twin.safetensors")
    twin = load_extractor(tmp_path / "twin.safetensors")
    assert (exact.differentiable, twin.differentiable) == (False, True)
    assert twin.about["resize"] == {"size": 12, "mode": "bicubic-antialias"}
    assert twin.identity != exact.identity
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    torch.testing.assert_close(twin(images), exact(images), rtol=0, atol=1e-4)
    with pytest.raises(InputError, match=r"twin\.safetensors: is differentiable, expected one that is not"):
        write_twin(tmp_path / "twin.safetensors", tmp_path / "again.safetensors")


@pytest.mark.parametrize("resize", [{"size": 0, "mode": "pil-bicubic"}, {"size": 4, "mode": "nearest"}, "bicubic", [4]])
def test_a_resize_that_is_none_is_refused(tmp_path, resize):
    about = {"kind": "classifier", "name": "x", "architecture": "cnn", "dimension": 6, "image_shape": [1, 8, 8]}
    save_extractor(tmp_path / "x.safetensors", build_body("cnn", (1, 8, 8), 6), {**about, "resize": resize})
    with pytest.raises(InputError, match=r"resize is .*, expected a positive 'size' and a 'mode' of pil-bilinear"):
        load_extractor(tmp_path / "x.safetensors")


def test_a_search_by_the_twin_is_chosen_by_the_extractor_itself_and_the_difference_recorded(tiny_run, tmp_path, capsys):
    exact, twin = stand_in(tmp_path / "exact.safetensors"), tmp_path / "twin.safetensors"
    write_twin(exact, twin)
    with deterministic(1):
        for path in (exact, twin):
            build_reference(tiny_run.folder / "train.npz", path, path.with_suffix(".h5"), CPU)

    def given(path):
        return [*measures(tiny_run)[:2], "--extractor", path, "--reference", path.with_suffix(".h5")]

    scoring = settings(**SCORING, images=60, name="x", search=GRADIENT)
    choosing = settings(**SCORING, images=60, name="x", finalists=2)
    run = ["--count", 2, "--output"]
    assert lcsc("search", *given(exact), *scoring, *run, tmp_path / "refused") == 2
    assert "stand-in: is not differentiable" in one_error_line(capsys)
    assert lcsc("search", *given(twin), *scoring, *run, tmp_path / "search") == 0
    generations = [tmp_path / "search" / f"generation-{number:04d}.json" for number in range(2)]
    chosen = ["--generations", *generations, "--output", tmp_path / "selection.json"]
    searched = ["--searched", twin, twin.with_suffix(".h5")]
    assert lcsc("select", *given(exact), *choosing, *chosen, *searched) == 0
    record = json.loads((tmp_path / "selection.json").read_text())
    own = record["finalists"][record["chosen"]]["selection_score"]
    found = record["searched"]
    assert found["difference"] == own - found["selection_score"]
    assert 0 < abs(found["difference"]) < 1e-4 * own
    assert (found["extractor"], record["extractor"]) == ("stand-in-twin", load_extractor(exact).identity)
    capsys.readouterr()
    other = ["--searched", tiny_run.folder / "cnn.safetensors", tiny_run.folder / "train.cnn.h5"]
    assert lcsc("select", *given(exact), *choosing, *chosen, *other) == 2
    assert "which was searched; give that" in one_error_line(capsys)
    assert np.isfinite(own)
