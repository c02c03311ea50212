from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lcsc import data
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError, LcscError
from lcsc.extractors import load_extractor
from lcsc.files import read_json, sha256_of
from lcsc.generators.networks import build_network
from lcsc.generators.preconditioning import build_denoiser
from lcsc.search.post_hoc import exponent_of
from lcsc.training import continue_training, train, train_extractor
from lcsc.training.consistency import (
    ConsistencyTraining,
    interval_shares,
    intervals,
    pseudo_huber,
    rising_levels,
)
from lcsc.training.ema import EMATracker
from lcsc.training.loop import learning_rate, snapshot_steps

SETTINGS = {
    "network": {
        "factory": "lcsc.generators.networks:ResidualMLP",
        "args": {"image_shape": [1, 4, 4], "width": 16, "depth": 1},
        "image_shape": [1, 4, 4],
    },
    "preconditioning": {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5},
    "train": {
        "recipe": "consistency", "steps": 30, "batch": 8, "learning_rate": 0.001, "seed": 0, "save_from": 20,
        "save_every": 5, "scales": [2, 8], "ema_rates": [0.8, 0.97, 0.99995],
    },
}  # fmt: skip
DENOISER = build_denoiser(nn.Identity(), SETTINGS["preconditioning"])
EXTRACTOR = {
    "kind": "classifier", "architecture": "mlp", "dimension": 6, "steps": 150, "batch": 32,
    "learning_rate": 0.003, "noise": 0.1, "seed": 1,
}  # fmt: skip
OPENED: list[str] = []
WATCHING: list[bool] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHING and event == "open":
        OPENED.append(str(arguments[0]))


sys.addaudithook(_watch)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """The names of all files that are opened within the block."""
    OPENED.clear()
    WATCHING.append(True)
    try:
        yield OPENED
    finally:
        WATCHING.clear()


def changed(section: str, **change) -> dict:
    settings = copy.deepcopy(SETTINGS)
    settings[section].update(change)
    return settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two kinds of images, left half or right half white, with a little noise."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.integers(0, 40, (60, 4, 4), dtype=np.uint8)
    images[labels == 0, :, :2] += 200
    images[labels == 1, :, 2:] += 200
    np.savez(folder / "own.npz", images=images, labels=labels)
    settings = {"source": "npz", "path": str(folder / "own.npz"), "held_out": 20, "seed": 0}
    data.prepare(settings, folder / "halves")
    return folder / "halves"


@pytest.fixture(scope="module")
def part(folder):
    return data.load_part(folder / "train.npz")


@pytest.fixture(scope="module")
def trained(part, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained")
    train(SETTINGS, part, output)
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_denoiser_that_is_trained_removes_more_noise(part, tmp_path):
    settings = changed("train", recipe="edm", steps=200, save_from=1, save_every=199)
    settings["preconditioning"]["kind"] = "edm"
    train(settings, part, tmp_path)
    images = torch.from_numpy(data.to_float(part.images))
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    errors = []
    for step in (1, 200):
        network = build_network(settings["network"])
        path = tmp_path / f"checkpoints/step-{step:06d}.safetensors"
        network.load_state_dict(SafetensorsFormat().read(path).tensors)
        with torch.no_grad():
            denoised = build_denoiser(network, settings["preconditioning"])(images + noise, torch.ones(len(images)))
        errors.append(float((denoised - images).square().mean()))
    assert errors[1] < 0.9 * errors[0]


def test_noise_levels_rise_from_the_denoiser_s_least_to_its_greatest():
    assert rising_levels(3, DENOISER).tolist() == pytest.approx(
        [0.002, (80 ** (1 / 7) / 2 + 0.002 ** (1 / 7) / 2) ** 7, 80]
    )


def test_intervals_double_in_equal_stages():
    found = [intervals(step, 2000, [10, 80]) for step in range(2000)]
    assert [found.count(scale) for scale in (10, 20, 40, 80)] == [500] * 4
    assert found == sorted(found)
    assert intervals(9, 10, [10, 1280]) == 1280
    # Song & Dhariwal 2023, section 3.4: K' = floor(K / (log2 floor(s1/s0) + 1)), here floor(2000 / 3.585) = 557.
    found = [intervals(step, 2000, [10, 60]) for step in range(2000)]
    assert [found.count(count) for count in (10, 20, 40, 60)] == [557, 557, 557, 329]
    assert [intervals(step, 10, [4, 4]) for step in (0, 9)] == [4, 4]
    assert [intervals(step, 1, [10, 80]) for step in (0,)] == [10]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 40), st.data())
def test_intervals_stay_within_their_scales_and_never_fall(steps, first, more, choice):
    scales = [first, first + more - 1]
    step = choice.draw(st.integers(0, steps - 1))
    now, after = (intervals(k, steps, scales) for k in (step, step + 1))
    assert scales[0] <= now <= after <= scales[1]


def test_interval_probabilities_are_those_of_the_lognormal_distribution():
    sigmas = rising_levels(11, DENOISER)
    shares = interval_shares(sigmas)
    logs = sigmas.log().tolist()
    weights = [
        math.erf((high + 1.1) / (math.sqrt(2) * 2)) - math.erf((low + 1.1) / (math.sqrt(2) * 2))
        for low, high in pairwise(logs)
    ]
    np.testing.assert_allclose(shares, np.array(weights) / sum(weights), rtol=1e-10)
    assert float(shares.sum()) == pytest.approx(1)


def test_pseudo_huber_is_quadratic_near_zero_and_the_norm_far_away():
    c = 0.00054 * 4
    near, far = (
        torch.full((1, 1, 4, 4), 1e-6, dtype=torch.float64),
        torch.full((1, 1, 4, 4), 1e3, dtype=torch.float64),
    )
    assert float(pseudo_huber(near)) == pytest.approx(16e-12 / (2 * c), rel=1e-4)
    assert float(pseudo_huber(far)) == pytest.approx(4e3 - c, rel=1e-12)
    assert pseudo_huber(torch.zeros(3, 2)).tolist() == [0, 0, 0]


def test_the_loss_is_the_weighted_distance_to_the_network_of_now_at_the_level_below():
    network = build_network(SETTINGS["network"], 0)
    denoiser = build_denoiser(network, SETTINGS["preconditioning"])
    recipe = ConsistencyTraining(SETTINGS["train"], denoiser)
    images = torch.rand(8, 1, 4, 4)
    loss = recipe(images, 12, torch.Generator().manual_seed(3))
    rng = torch.Generator().manual_seed(3)
    sigmas = rising_levels(5, denoiser)
    i = torch.multinomial(interval_shares(sigmas).float(), 8, replacement=True, generator=rng)
    noise = torch.randn(images.shape, generator=rng)
    expected = 0.0
    for row, image, z in zip(i.tolist(), images, noise, strict=True):
        low, high = float(sigmas[row]), float(sigmas[row + 1])
        near, far = (denoiser((image + s * z)[None], torch.tensor([s])) for s in (low, high))
        expected += float(pseudo_huber(far - near).detach()) / (high - low) / 8
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_the_loss_has_the_gradient_of_a_target_that_stays():
    """In the weights and in the images, as the target depends on both."""
    network = build_network(SETTINGS["network"], 0)
    denoiser = build_denoiser(network, SETTINGS["preconditioning"])
    images = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    places = [images, *network.parameters()]
    recipe = ConsistencyTraining(SETTINGS["train"], denoiser)
    found = torch.autograd.grad(recipe(images, 12, torch.Generator().manual_seed(3)), places)
    rng = torch.Generator().manual_seed(3)
    sigmas = rising_levels(5, denoiser).float()
    rows = torch.multinomial(interval_shares(sigmas.double()).float(), 8, replacement=True, generator=rng)
    noise = torch.randn(images.shape, generator=rng)
    low, high = sigmas[rows], sigmas[rows + 1]
    target, student = (denoiser(images + s.view(-1, 1, 1, 1) * noise, s) for s in (low, high))
    wanted = torch.autograd.grad((pseudo_huber(student - target.detach()) / (high - low)).mean(), places)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 17), st.sampled_from([(0.0, 0.5), (0.8, 0.97, 0.9999)]))
def test_tracked_averages_are_the_recursion(steps, window, rates):
    torch.manual_seed(steps)
    parameters = [torch.randn(3, 2), torch.randn(5)]
    tracker = EMATracker(parameters, rates, window)
    expected = {rate: [p.double().clone() for p in parameters] for rate in rates}
    for _ in range(steps):
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape))
        tracker.update()
        for rate, averages in expected.items():
            for average, parameter in zip(averages, parameters, strict=True):
                average.mul_(rate).add_((1 - rate) * parameter.double())
    for rate, averages in expected.items():
        for found, average in zip(tracker.averages(rate), averages, strict=True):
            torch.testing.assert_close(found.double(), average, rtol=1e-5, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(1, 40))
def test_tracked_power_averages_are_the_recursion_and_looking_changes_nothing(steps, window, look):
    torch.manual_seed(steps)
    parameters = [torch.randn(3, 2), torch.randn(5)]
    exponents = [exponent_of(width) for width in (0.05, 0.25)]
    tracker, unseen = (EMATracker(parameters, (0.9,), window, exponents) for _ in range(2))
    expected = {exponent: [p.double() for p in parameters] for exponent in exponents}
    for step in range(1, steps + 1):
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape))
        tracker.update()
        unseen.update()
        if step % look == 0:
            tracker.power_averages(exponents[0])
        for exponent, averages in expected.items():
            kept = (1 - 1 / step) ** (exponent + 1)
            expected[exponent] = [
                kept * average + (1 - kept) * p.double() for average, p in zip(averages, parameters, strict=True)
            ]
    for exponent, averages in expected.items():
        for found, other, average in zip(
            tracker.power_averages(exponent), unseen.power_averages(exponent), averages, strict=True
        ):
            torch.testing.assert_close(found.double(), average, rtol=1e-5, atol=1e-6)
            assert torch.equal(found, other)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_rates_outside_zero_to_one_are_refused(rate):
    with pytest.raises(InputError, match=f"ema_rates has {rate}"):
        EMATracker([torch.zeros(2)], [0.9, rate])


def test_training_saves_steps_averages_and_a_manifest(trained, part):
    manifest = read_json(trained / "manifest.json", kind="training")
    assert [entry["step"] for entry in manifest["checkpoints"]] == [20, 25, 30]
    assert [entry["file"] for entry in manifest["emas"]] == [
        "ema/rate-0.8000.safetensors", "ema/rate-0.9700.safetensors", "ema/rate-0.99995.safetensors"
    ]  # fmt: skip
    entries = [*manifest["checkpoints"], *manifest["emas"], manifest["state"]]
    assert {entry["file"] for entry in entries} == set(contents(trained)) - {"manifest.json"}
    assert all(sha256_of(trained / entry["file"]) == entry["sha256"] for entry in entries)
    assert manifest["data"] == {"id": "halves", "part": "train", "sha256": part.sha256}
    assert manifest["schedule"] == "constant"
    read = SafetensorsFormat().read
    names = set(build_network(SETTINGS["network"]).state_dict())
    first, ema = (
        read(trained / "checkpoints/step-000020.safetensors"),
        read(trained / "ema/rate-0.9700.safetensors"),
    )
    assert set(first.tensors) == set(ema.tensors) == names
    assert (first.metadata["step"], first.metadata["track"]) == ("20", "raw")
    assert (ema.metadata["step"], ema.metadata["track"], ema.metadata["rate"]) == ("30", "ema_0.97", "0.97")


def test_averages_are_of_every_step_from_the_initial_weights_on(part, tmp_path):
    train(changed("train", save_from=1, save_every=1, ema_rates=[0.0, 0.5, 0.9]), part, tmp_path)
    read = SafetensorsFormat().read
    steps = [read(path).tensors for path in sorted((tmp_path / "checkpoints").iterdir())]
    assert len(steps) == 30
    from lcsc.seeds import torch_seed

    initial = build_network(SETTINGS["network"], torch_seed("training", 0, 0)).state_dict()
    for rate in (0.0, 0.5, 0.9):
        average = {name: tensor.double() for name, tensor in initial.items()}
        for state in steps:
            average = {name: rate * average[name] + (1 - rate) * state[name].double() for name in average}
        found = read(tmp_path / f"ema/rate-{rate:.4f}.safetensors").tensors
        for name, tensor in average.items():
            torch.testing.assert_close(found[name].double(), tensor, rtol=1e-5, atol=1e-7)


def test_two_trainings_give_the_same_bytes_and_another_seed_others(trained, part, tmp_path):
    torch.manual_seed(123)
    train(SETTINGS, part, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(trained)
    train(changed("train", seed=1), part, tmp_path / "other")
    other = contents(tmp_path / "other")
    assert all(other[name] != content for name, content in contents(trained).items())


class Dropping(nn.Module):
    """A network whose forward passes note what they dropped."""

    masks: ClassVar[list[torch.Tensor]] = []

    def __init__(self) -> None:
        super().__init__()
        self.body, self.dropout = nn.Linear(16, 16), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        kept = self.dropout(torch.ones(len(x), 16))
        self.masks.append(kept)
        return (self.body(x.flatten(1)) * kept).view_as(x)


def test_dropout_depends_on_seed_and_step_alone(part, tmp_path, monkeypatch):
    monkeypatch.setattr(Dropping, "masks", [])
    given = changed("train", steps=4, save_from=2, save_every=2)
    given["network"] = {"factory": f"{__name__}:Dropping", "args": {}, "image_shape": [1, 4, 4]}
    for place, output in enumerate(("one", "two")):
        torch.manual_seed(place)
        before = torch.get_rng_state()
        train(given, part, tmp_path / output)
        assert torch.equal(torch.get_rng_state(), before)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    masks = Dropping.masks[: len(Dropping.masks) // 2]
    assert all(torch.equal(*pair) for pair in zip(masks[::2], masks[1::2], strict=True))  # teacher and student
    assert len({mask.numpy().tobytes() for mask in masks}) == 4


def test_a_decayed_learning_rate_keeps_the_last_checkpoint_and_the_averages(trained, part, tmp_path):
    train({**SETTINGS, "schedule": "decayed"}, part, tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000030.safetensors"]
    assert len(list((tmp_path / "ema").iterdir())) == 3
    last = (trained / "checkpoints/step-000030.safetensors").read_bytes()
    assert (tmp_path / "checkpoints/step-000030.safetensors").read_bytes() != last
    rates = [learning_rate(SETTINGS["train"], "decayed", step) for step in (0, 15, 30)]
    assert rates == pytest.approx([0.001, 0.0005, 0.0])
    assert learning_rate(SETTINGS["train"], "constant", 29) == 0.001


def test_snapshots_of_power_averages_lie_evenly_and_leave_the_training_alone(trained, part, tmp_path):
    train(changed("train", power_ema=[0.05, 0.1]), part, tmp_path)
    manifest = read_json(tmp_path / "manifest.json", kind="training")
    entries = manifest["power_emas"]
    assert [(entry["sigma_rel"], entry["step"]) for entry in entries] == [
        (width, step) for step in snapshot_steps(30) for width in (0.05, 0.1)
    ]
    assert all(sha256_of(tmp_path / entry["file"]) == entry["sha256"] for entry in entries)
    last = SafetensorsFormat().read(tmp_path / "ema/power/sigma-0.0500-step-000030.safetensors")
    assert (last.metadata["step"], last.metadata["sigma_rel"]) == ("30", "0.05")
    name = "checkpoints/step-000030.safetensors"
    assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()
    train(changed("train", power_ema=[0.05, 0.1]), part, tmp_path / "twin", "decayed")
    assert not (tmp_path / "twin" / "ema" / "power").exists()


def test_snapshots_are_twenty_or_every_step_and_the_last_is_among_them():
    assert snapshot_steps(2000) == list(range(100, 2001, 100))
    for steps in (1, 2, 13, 20, 30, 999):
        found = snapshot_steps(steps)
        assert found == sorted(set(found))
        assert (found[0] >= 1, found[-1], len(found)) == (True, steps, min(steps, 20))


def test_power_averages_are_of_every_step_and_forget_the_initial_weights(part, tmp_path):
    train(changed("train", save_from=1, save_every=1, power_ema=[0.1]), part, tmp_path)
    read, exponent, average = SafetensorsFormat().read, exponent_of(0.1), {}
    for step, path in enumerate(sorted((tmp_path / "checkpoints").iterdir()), start=1):
        state, kept = read(path).tensors, (1 - 1 / step) ** (exponent + 1)
        average = {n: (kept * average[n] if average else 0) + (1 - kept) * t.double() for n, t in state.items()}
    found = read(tmp_path / "ema/power/sigma-0.1000-step-000030.safetensors").tensors
    for name, tensor in average.items():
        torch.testing.assert_close(found[name].double(), tensor, rtol=1e-5, atol=1e-7)


@pytest.fixture(scope="module")
def continued(trained, part, tmp_path_factory):
    output = tmp_path_factory.mktemp("continued")
    continue_training(changed("train", **{"continue": 17}), part, trained, output)
    return output


def test_a_continued_training_is_the_longer_one(continued, part, tmp_path, monkeypatch):
    """Trained at one go, with the recipe's schedule of the short training held at its end."""
    import lcsc.training.consistency as consistency

    plain = consistency.intervals
    monkeypatch.setattr(consistency, "intervals", lambda step, steps, scales: plain(min(step, 29), 30, scales))
    train(changed("train", steps=47, save_from=47), part, tmp_path)
    name = "checkpoints/step-000047.safetensors"
    assert sorted(contents(continued)) == ["checkpoints/step-000047.safetensors", *(
        f"ema/rate-{rate}.safetensors" for rate in ("0.8000", "0.9700", "0.99995")
    ), "manifest.json"]  # fmt: skip
    assert (continued / name).read_bytes() == (tmp_path / name).read_bytes()
    for path in (continued / "ema").iterdir():
        whole = SafetensorsFormat().read(tmp_path / "ema" / path.name)
        for key, tensor in SafetensorsFormat().read(path).tensors.items():
            torch.testing.assert_close(tensor, whole.tensors[key], rtol=1e-6, atol=1e-7)


def test_the_manifest_of_a_continued_training_names_what_it_went_on_from(continued, trained):
    manifest = read_json(continued / "manifest.json", kind="training")
    assert manifest["schedule"] == "continued"
    assert manifest["continued_from"] == {"step": 30, "state": sha256_of(trained / "state.safetensors")}
    assert [entry["step"] for entry in manifest["checkpoints"]] == [47]


def test_a_training_goes_on_from_its_own_settings_and_files_only(trained, part, folder, tmp_path):
    more = {"continue": 5}
    for wrong, message in (
        (changed("train", seed=1, **more), "settings: found .* go on from the training of these settings"),
        (SETTINGS, "continue is 0, expected 1 or more"),
    ):
        with pytest.raises(InputError, match=message):
            continue_training(wrong, part, trained, tmp_path / "x")
    with pytest.raises(InputError, match="found the held-out part"):
        continue_training(changed("train", **more), data.load_part(folder / "held-out.npz"), trained, tmp_path / "x")
    train(SETTINGS, part, tmp_path / "again")
    (tmp_path / "again" / "ema" / "rate-0.9700.safetensors").unlink()
    with pytest.raises(InputError, match=r"rate-0.9700.safetensors: found another file than manifest.json names"):
        continue_training(changed("train", **more), part, tmp_path / "again", tmp_path / "x")
    with pytest.raises(InputError, match="expected another folder"):
        continue_training(changed("train", **more), part, trained, trained / ".")
    assert not (tmp_path / "x").exists()


def test_tied_weights_go_on_as_tied(part, tmp_path):
    tied = changed("network", factory=f"{__name__}:Tied", args={})
    train(tied, part, tmp_path / "whole")
    tied["train"] |= {"continue": 3}
    continue_training(tied, part, tmp_path / "whole", tmp_path / "more")
    stored = SafetensorsFormat().read(tmp_path / "more/checkpoints/step-000033.safetensors")
    assert stored.aliases == {"two.weight": "one.weight"}


def test_an_earlier_training_in_the_folder_is_replaced_and_other_files_are_left(trained, part, tmp_path):
    train(changed("train", save_every=1, ema_rates=[0.5], power_ema=[0.1]), part, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    train(SETTINGS, part, tmp_path)
    assert contents(tmp_path) == {**contents(trained), "notes.txt": b"mine"}


def test_training_learns(part, tmp_path):
    train(changed("train", steps=400, save_from=1, save_every=399, learning_rate=0.003), part, tmp_path)
    network = build_network(SETTINGS["network"])
    recipe = ConsistencyTraining(SETTINGS["train"], build_denoiser(network, SETTINGS["preconditioning"]))
    images, losses = torch.from_numpy(data.to_float(part.images)), []
    for path in sorted((tmp_path / "checkpoints").iterdir()):
        network.load_state_dict(SafetensorsFormat().read(path).tensors)
        rng = torch.Generator().manual_seed(0)
        losses.append(np.mean([float(recipe(images, 29, rng).detach()) for _ in range(10)]))
    assert losses[1] < 0.7 * losses[0]


class Tied(nn.Module):
    """Two names for one weight, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(16, 16), nn.Linear(16, 16)
        self.two.weight = self.one.weight
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return (self.two(torch.tanh(self.one(x.flatten(1)))) * self.scale).view_as(x)


def test_tied_weights_are_written_as_tied_in_checkpoints_and_averages(part, tmp_path):
    train(changed("network", factory=f"{__name__}:Tied", args={}), part, tmp_path)
    for path in (tmp_path / "checkpoints/step-000030.safetensors", tmp_path / "ema/rate-0.9700.safetensors"):
        stored = SafetensorsFormat().read(path)
        assert set(stored.tensors) == {"one.weight", "one.bias", "two.bias", "scale"}
        assert stored.aliases == {"two.weight": "one.weight"}


def test_held_out_images_are_refused_and_their_file_is_never_opened(folder, tmp_path):
    held_out = data.load_part(folder / "held-out.npz")
    for work in (
        lambda: train(SETTINGS, held_out, tmp_path / "run"),
        lambda: train_extractor(EXTRACTOR, held_out, tmp_path / "e.safetensors"),
    ):
        with pytest.raises(InputError, match=r"held-out.npz: found the held-out part of halves, expected the train"):
            work()
    assert not list(tmp_path.iterdir())
    with opened_files() as opened:
        training_images = data.load_part(folder / "train.npz")
        train(changed("train", steps=5, save_from=5), training_images, tmp_path / "run")
        train_extractor({**EXTRACTOR, "steps": 5}, training_images, tmp_path / "e.safetensors")
    assert any(name.endswith("train.npz") for name in opened)
    assert not any("held-out" in name for name in opened)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [("train", {"recipe": "magic"}, "recipe is 'magic', expected one of consistency"),
     ("train", {"steps": 0}, "steps is 0"), ("train", {"batch": 0}, "batch is 0"),
     ("train", {"save_every": 0}, "save_every is 0"), ("train", {"learning_rate": 0}, "learning_rate is 0"),
     ("train", {"save_from": 31}, "save_from is 31, expected at most the 30 steps"),
     ("train", {"scales": [8, 2]}, r"scales are \[8, 2\]"),
     ("train", {"ema_rates": [1.0]}, "ema_rates has 1.0"), ("train", {"power_ema": [0.3]}, "σ_rel: found 0.3"),
     ("preconditioning", {"kind": "edm"}, "'consistency' needs preconditioning of kind 'consistency', found"),
     ("network", {"image_shape": [1, 8, 8]}, r"train.npz: images have shape \[1, 4, 4\], expected")],
)  # fmt: skip
def test_impossible_settings_are_refused_and_leave_an_earlier_training_alone(part, tmp_path, section, change, message):
    (tmp_path / "manifest.json").write_text("earlier")
    with pytest.raises(InputError, match=message):
        train(changed(section, **change), part, tmp_path)
    with pytest.raises(InputError, match="schedule is 'cosine'"):
        train(SETTINGS, part, tmp_path, "cosine")
    assert contents(tmp_path) == {"manifest.json": b"earlier"}


def test_a_training_that_diverges_says_so(part, tmp_path):
    with pytest.raises(LcscError, match=r"training diverged: the loss is .* at step") as caught:
        train(changed("train", learning_rate=1e30), part, tmp_path)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "manifest.json").exists()


def test_an_extractor_tells_the_labels_of_images_it_never_saw_apart(folder, part, tmp_path):
    path = tmp_path / "halves-0123456789.safetensors"
    train_extractor(EXTRACTOR, part, path, "halves")
    extractor = load_extractor(path)
    assert (extractor.name, extractor.dimension, extractor.image_shape) == ("halves", 6, (1, 4, 4))
    assert extractor.about["data"]["sha256"] == part.sha256
    held = data.load_part(folder / "held-out.npz")
    mine, theirs = (extractor(torch.from_numpy(data.to_float(p.images))) for p in (part, held))
    centres = torch.stack([mine[torch.from_numpy(part.labels == label)].mean(0) for label in (0, 1)])
    assert np.array_equal(torch.cdist(theirs, centres).argmin(1).numpy(), held.labels)


def test_two_extractors_of_one_seed_are_the_same_bytes(part, tmp_path):
    short = {**EXTRACTOR, "steps": 10, "name": "small"}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(name) + seed)
        train_extractor({**short, "seed": seed}, part, tmp_path / name)
    assert load_extractor(tmp_path / "a").name == "small"
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "inception"}, "kind is 'inception', expected 'classifier'"),
     ({"architecture": "rnn"}, "'rnn'"),
     ({"steps": 0}, "steps is 0"), ({"noise": -1}, "noise -1"), ({"dimension": 0}, "dimension 0")],
)  # fmt: skip
def test_impossible_extractors_are_refused(part, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train_extractor({**EXTRACTOR, **change}, part, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
