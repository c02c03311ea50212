"""Networks of diffusers: from their class or their config.json, trained here, and in a flat buffer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel

from lcsc.bank import Bank
from lcsc.collection import collect
from lcsc.data import Part
from lcsc.errors import InputError
from lcsc.evaluation import Workers
from lcsc.extractors.classifier import build_body
from lcsc.generators import build_generator, build_network, recorded
from lcsc.generators.calls import image_of
from lcsc.gradients import GradientEvaluator
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.noise import Noise
from lcsc.runtime import deterministic
from lcsc.training.loop import train

CPU = torch.device("cpu")
SHAPE = (1, 16, 16)
ARGS: dict[str, Any] = {
    "sample_size": 16, "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": [4, 8],
    "norm_num_groups": 2, "attention_head_dim": 4,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}  # fmt: skip
NETWORK = {"factory": "diffusers:UNet2DModel", "args": ARGS, "image_shape": list(SHAPE)}
SETTINGS: dict[str, Any] = {
    "network": NETWORK,
    "preconditioning": {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5},
    "sampler": {"kind": "consistency", "sigmas": [80.0, 1.0]},
}
TRAIN = {
    "recipe": "consistency", "steps": 4, "batch": 8, "learning_rate": 0.003, "seed": 0,
    "save_from": 2, "save_every": 2, "scales": [10, 20], "ema_rates": [0.8],
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of the U-Net on noise by the embedded recipe."""
    folder = tmp_path_factory.mktemp("unet")
    images = np.random.default_rng(0).integers(0, 256, (32, *SHAPE), dtype=np.uint8)
    path = folder / "train.npz"
    rows = np.arange(32)
    part = Part(images, labels=rows % 4, indices=rows, part="train", data_id="noise", sha256="0", path=path)
    with deterministic(1):
        train({**SETTINGS, "train": TRAIN}, part, folder / "run")
    collect(folder / "run" / "checkpoints", folder / "bank")
    return folder


def bank_of(trained: Path) -> Bank:
    return Bank.open(trained / "bank")


def last_weights(trained: Path) -> np.ndarray:
    return np.array(bank_of(trained).resident().weights[1])


def test_the_embedded_recipe_trains_a_unet_whose_bank_fits_it(trained):
    bank = bank_of(trained)
    source = build_network(NETWORK)
    assert sum(parameter.numel() for parameter in source.parameters()) == bank.P
    assert {entry.name for entry in bank.tensors} == set(source.state_dict())
    assert bank.steps == [2, 4]
    source.load_state_dict(bank.unflatten(last_weights(trained)))
    generator = build_generator(SETTINGS, bank.tensors, bank.others())
    generator.load(last_weights(trained))
    x, level = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0)), torch.tensor([-1.5, 0.3, 1.1])
    with torch.inference_mode():
        # Kernels differ by how weights lie in memory, so not bit for bit.
        torch.testing.assert_close(generator.flat(x, level), source.eval()(x, level).sample, rtol=1e-5, atol=1e-5)
        assert torch.equal(generator.flat.call(generator.flat.buffer, x, level), generator.flat(x, level))


def test_gradients_through_a_unet_are_those_of_finite_differences(trained):
    """In float64, where the two agree to seven digits."""
    bank = bank_of(trained)
    torch.manual_seed(0)
    body = build_body("cnn", SHAPE, 4).double()

    class Exact:
        name, dimension, differentiable = "body", 4, True

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            return body(images)

    def make():
        return build_generator(SETTINGS, bank.tensors, bank.others(), CPU, torch.float64)

    rng = np.random.default_rng(0)
    reference = Reference.of(feature_statistics(rng.normal(size=(40, 4))))
    evaluator = GradientEvaluator(Workers(make, 1), Exact(), reference, Noise("search", 0, 0, 9, [SHAPE] * 2), 4, False)
    weights = last_weights(trained).astype(np.float64)
    score, gradient = evaluator.value_and_gradient(weights)
    assert score.value is not None
    assert gradient is not None
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (evaluator.value_and_gradient(weights + s * 1e-6 * direction).score.value for s in (1, -1))
    assert (ahead - behind) / 2e-6 == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


def test_a_config_or_its_folder_makes_the_same_network_as_the_class(tmp_path):
    source = UNet2DModel(**ARGS)
    source.save_config(tmp_path)
    for path in (tmp_path, tmp_path / "config.json"):
        found = build_network({"diffusers": str(path), "image_shape": list(SHAPE)}, seed=3)
        expected = build_network(NETWORK, seed=3)
        assert isinstance(found, UNet2DModel)
        pairs = zip(found.state_dict().items(), expected.state_dict().items(), strict=True)
        assert all(own == other and torch.equal(a, b) for (own, a), (other, b) in pairs)
    wider = build_network({"diffusers": str(tmp_path), "args": {"block_out_channels": [8, 8]}})
    assert wider.conv_in.out_channels == 8


def test_the_protocol_has_the_content_of_the_config_and_not_its_place(tmp_path):
    source = UNet2DModel(**ARGS)

    def record(folder: str, **change: Any) -> dict[str, Any]:
        source.save_config(tmp_path / folder)
        file = tmp_path / folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        network = {"diffusers": str(tmp_path / folder), "args": {}, "image_shape": list(SHAPE)}
        return recorded({**SETTINGS, "network": network})

    first = record("a")
    assert first == record("b") == record("c", _diffusers_version="0.0.1")
    assert first != record("d", norm_eps=0.1)
    assert first["sampler"] == SETTINGS["sampler"]
    assert recorded(SETTINGS) == SETTINGS


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, r"config.json: not found; expected a model's config.json"),
     ("{", r"config.json: no JSON .*; expected a model's config.json"),
     ("[]", r"config.json: found list, expected a JSON object"),
     ("{}", r"_class_name is None, expected a model of diffusers"),
     ('{"_class_name": "Nothing"}', r"_class_name is 'Nothing', expected a model"),
     ('{"_class_name": "DDIMScheduler"}', r"_class_name is 'DDIMScheduler', expected a model"),
     ('{"_class_name": "UNet2DModel", "norm_num_groups": 5}', r"UNet2DModel refuses it \(.+\); correct it")],
)  # fmt: skip
def test_configs_of_no_model_are_refused(tmp_path, content, message):
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        build_network({"diffusers": str(file)})
    assert "\n" not in str(caught.value)


def test_args_that_the_model_does_not_know_are_refused(tmp_path):
    UNet2DModel(**ARGS).save_config(tmp_path)
    with pytest.raises(InputError, match=r"UNet2DModel does not know network.args 'droput'; the nearest .* 'dropout'"):
        build_network({"diffusers": str(tmp_path), "args": {"droput": 0.1}})


def test_the_image_is_found_in_every_kind_of_output():
    image = torch.ones(2)

    class Output:
        sample = image

    for output in (image, (image, None), [image], Output(), (image,)):
        assert image_of(output) is image
    for output in (None, (), {"sample": image}, "text", (None, image)):
        with pytest.raises(InputError, match=f"its output is {type(output).__name__}, expected a tensor"):
            image_of(output)
