"""Faster variants of extractors: what they change is measured, and they may not judge."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_efficientnet import SETTINGS, random_images
from tiny import CPU

from lcsc.data import prepare
from lcsc.errors import InputError
from lcsc.extractors import load_extractor
from lcsc.extractors.making import make_extractor
from lcsc.extractors.variants import deviation
from lcsc.metrics.reference_file import read_reference
from lcsc.reference import build_reference

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    make_extractor(SETTINGS, folder / "exact.safetensors")
    make_extractor({**SETTINGS, "variant": {"dtype": "bfloat16", "compile": False}}, folder / "half.safetensors")
    return folder / "exact.safetensors", folder / "half.safetensors"


def test_bfloat16_features_are_near_the_exact_ones_and_not_the_same(made):
    exact, half = map(load_extractor, made)
    images = random_images(40, 1, 16, 16)
    found, expected = half(images), exact(images)
    assert found.dtype == torch.float32
    assert 1e-4 < float((found - expected).norm() / expected.norm()) < 0.2
    assert torch.equal(load_extractor(made[1], exact=True)(images), expected)
    assert (exact.words, half.words) == ("eff", "eff: bfloat16")
    assert exact.identity != half.identity
    leaf = images.clone().requires_grad_()
    half(leaf).sum().backward()
    assert leaf.grad.abs().max() > 0


def test_statistics_record_how_far_a_variant_is_off(made, tiny_run, tmp_path):
    prepare({"source": "digits", "held_out": 1700, "seed": 0}, tmp_path)
    for path in made:
        build_reference(tmp_path / "train.npz", path, tmp_path / f"{path.stem}.h5", CPU)
    exact, half = (read_reference(tmp_path / f"{path.stem}.h5") for path in made)
    assert not any(key.startswith("variant") for key in exact.about)
    features, distance = (float(half.about[f"variant_{key}"]) for key in ("features", "distance"))
    assert 1e-4 < features < 0.1
    assert 0 < distance < 0.2
    context, extractor = tiny_run.context(1), load_extractor(made[1])
    words = context.protocol(extractor, half, "search", 20).words()
    assert f"differ from the exact ones by {features:.2%} of their spread, its distances by {distance:.2%}" in words
    plain = dataclasses.replace(context.protocol(extractor, exact, "search", 20))
    assert "variant" not in plain.words()


def test_the_deviation_of_features_that_are_scaled_is_known():
    exact = np.random.default_rng(0).normal(3, 1, (4000, 3)).astype(np.float32)
    exact = (exact - exact.mean(0)) / exact.std(0)
    found = deviation(1.1 * exact, exact)
    assert float(found["variant_features"]) == pytest.approx(0.1, rel=1e-2)
    assert float(found["variant_distance"]) == pytest.approx(0.21, rel=1e-2)
    assert deviation(exact, exact) == {"variant_features": "0.00e+00", "variant_distance": "0.00e+00"}
    with pytest.raises(InputError, match="found 3 images to measure its deviation on"):
        deviation(exact[:3], exact[:3])


def test_a_compiled_variant_is_compiled(made, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda body, dynamic, options: asked.append(dynamic) or body)
    make_extractor({**SETTINGS, "variant": {"dtype": "float32", "compile": True}}, tmp_path / "c.safetensors")
    compiled = load_extractor(tmp_path / "c.safetensors")
    assert asked == [False, False]
    assert compiled.words == "eff: float32, compiled"
    images = random_images(3, 1, 16, 16)
    assert torch.equal(compiled(images), load_extractor(made[0])(images))


@pytest.mark.parametrize("variant", [{"dtype": "int8", "compile": False}, {"dtype": "bfloat16"}, {"x": 1}])
def test_a_variant_that_is_none_is_refused(tmp_path, variant):
    with pytest.raises(InputError, match=r"eff: variant is .*, expected a 'dtype' of float32, bfloat16"):
        make_extractor({**SETTINGS, "variant": variant}, tmp_path / "x.safetensors")
