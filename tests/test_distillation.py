"""Consistency distillation against what can be known without training, and its place in a training."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lcsc import data
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.config import resolve
from lcsc.errors import InputError
from lcsc.files import read_json, sha256_of
from lcsc.generators.networks import build_network
from lcsc.generators.preconditioning import Denoiser, build_denoiser, coefficients
from lcsc.training import train
from lcsc.training.consistency import pseudo_huber, rising_levels
from lcsc.training.distillation import ConsistencyDistillation, heun_step

SIGMA_DATA = 0.5
PRECONDITIONING = {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": SIGMA_DATA}
NETWORK = {
    "factory": "lcsc.generators.networks:ResidualMLP",
    "args": {"image_shape": [1, 4, 4], "width": 16, "depth": 1},
    "image_shape": [1, 4, 4],
}
TRAIN = {
    **{"recipe": "distillation", "steps": 12, "batch": 8, "learning_rate": 0.001, "seed": 0, "save_from": 4},
    **{"save_every": 4, "scales": [4, 4], "target_rate": 0.9, "ema_rates": [0.8]},
}
SETTINGS = {"network": NETWORK, "preconditioning": PRECONDITIONING, "train": TRAIN}


@pytest.fixture
def teacher(tmp_path) -> Path:
    path = tmp_path / "teacher.safetensors"
    SafetensorsFormat().write(path, dict(build_network(NETWORK, seed=3).state_dict()), {})
    return path


@pytest.fixture
def part(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(40) % 2)
    data.prepare({"source": "npz", "path": str(tmp_path / "own.npz"), "held_out": 10, "seed": 0}, tmp_path / "images")
    return data.load_part(tmp_path / "images" / "train.npz")


def distillation(teacher: Path, **change) -> tuple[ConsistencyDistillation, torch.nn.Module]:
    network = build_network(NETWORK, seed=5)
    return ConsistencyDistillation(
        {**TRAIN, **change}, build_denoiser(network, PRECONDITIONING), network, teacher
    ), network


def test_heun_step_follows_the_flow_of_gaussian_images():
    # For N(0, s²) the best denoiser is s² / (s² + σ²) x and the flow scales x by sqrt(s² + σ²).
    denoiser = Denoiser(lambda x, noise: torch.zeros_like(x), "edm", 0.002, 80.0, SIGMA_DATA)
    x = torch.randn(6, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = []
    for steps in (8, 16, 32):
        levels, found = torch.linspace(2.0, 0.5, steps + 1, dtype=torch.float64), x
        for high, low in pairwise(levels):
            found = heun_step(denoiser, found, high.repeat(6), low.repeat(6))
        exact = x * ((SIGMA_DATA**2 + 0.5**2) / (SIGMA_DATA**2 + 2.0**2)) ** 0.5
        errors.append(float((found - exact).abs().max()))
    assert 3.5 < errors[0] / errors[1] < 4.6  # of second order
    assert 3.5 < errors[1] / errors[2] < 4.6


def test_a_student_that_is_consistent_along_the_flow_has_no_loss(teacher):
    # All images are one image y: the flow is a straight line to it, and f(x, σ) = y + (x - y) σ_min / σ its end.
    recipe, _ = distillation(teacher)
    y = torch.linspace(-1, 1, 16, dtype=torch.float64).view(1, 1, 4, 4)

    def network(kind: str):
        def evaluate(x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
            sigma = (4 * noise).exp()
            boundary = 0.002 if kind == "consistency" else 0.0
            skip, out, scale, _ = (c.view(-1, 1, 1, 1) for c in coefficients(sigma, SIGMA_DATA, boundary))
            noisy = x / scale
            wanted = y if kind == "edm" else y + (noisy - y) * 0.002 / sigma.view(-1, 1, 1, 1)
            # At sigma_min the output has no weight, and 0 / 0 must not come in.
            return torch.where(out == 0, torch.zeros_like(x), (wanted - skip * noisy) / out.where(out != 0, 1))

        return evaluate

    student = Denoiser(network("consistency"), "consistency", 0.002, 80.0, SIGMA_DATA)
    recipe.denoiser = recipe.target = student
    recipe.teacher = Denoiser(network("edm"), "edm", 0.002, 80.0, SIGMA_DATA)
    loss = recipe(y.repeat(64, 1, 1, 1), 0, torch.Generator().manual_seed(0))
    assert float(loss) < 1e-3  # noise levels are float32
    recipe.teacher = Denoiser(lambda x, noise: torch.zeros_like(x), "edm", 0.002, 80.0, SIGMA_DATA)
    assert float(recipe(y.repeat(64, 1, 1, 1), 0, torch.Generator().manual_seed(0))) > 0.05


def test_the_student_starts_as_the_teacher_and_its_target_follows(teacher):
    recipe, network = distillation(teacher)
    start = SafetensorsFormat().read(teacher).tensors
    assert all(torch.equal(tensor, start[name]) for name, tensor in network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in recipe.target_network.parameters())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1
    recipe.after_step()
    for name, parameter in recipe.target_network.named_parameters():
        torch.testing.assert_close(parameter, 0.9 * start[name] + 0.1 * (start[name] + 1))


def test_gradients_reach_the_student_alone(teacher):
    recipe, network = distillation(teacher)
    recipe(torch.zeros(4, 1, 4, 4), 0, torch.Generator().manual_seed(0)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad is None for parameter in recipe.target_network.parameters())


def test_the_loss_has_the_gradient_of_a_teacher_and_a_target_that_stay(teacher):
    """In the student's weights and in the images, as teacher and target depend on those, too."""
    recipe, network = distillation(teacher)
    with torch.no_grad():  # away from where it equals its target
        for parameter in network.parameters():
            parameter += 0.1
    images = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    places = [images, *network.parameters()]
    found = torch.autograd.grad(recipe(images, 0, torch.Generator().manual_seed(3)), places)
    rng = torch.Generator().manual_seed(3)
    sigmas = rising_levels(5, recipe.denoiser).float()
    row = torch.randint(4, (6,), generator=rng)
    near, far = sigmas[row], sigmas[row + 1]
    noisy = images + far.view(-1, 1, 1, 1) * torch.randn(images.shape, generator=rng)
    target = recipe.target(heun_step(recipe.teacher, noisy, far, near), near)
    wanted = torch.autograd.grad(pseudo_huber(recipe.denoiser(noisy, far) - target.detach()).mean(), places)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_training_names_its_teacher_and_gives_the_same_bytes(teacher, part, tmp_path):
    for folder in ("one", "two"):
        train(SETTINGS, part, tmp_path / folder, teacher=teacher)
    assert read_json(tmp_path / "one/manifest.json", kind="training")["teacher"] == sha256_of(teacher)
    names = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert len(names) > 4
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_does_not_fit_is_refused(teacher, part, tmp_path):
    with pytest.raises(InputError, match=r"recipe 'distillation': found no teacher; give its weights"):
        train(SETTINGS, part, tmp_path / "out")
    settings = copy.deepcopy(SETTINGS)
    settings["train"]["recipe"] = "consistency"
    with pytest.raises(InputError, match=r"recipe 'consistency': found a teacher; leave it out"):
        train(settings, part, tmp_path / "out", teacher=teacher)
    settings = copy.deepcopy(SETTINGS)
    settings["network"]["args"]["width"] = 8
    with pytest.raises(InputError, match=r"teacher.safetensors: is no teacher for this network"):
        train(settings, part, tmp_path / "out", teacher=teacher)
    settings = copy.deepcopy(SETTINGS)
    settings["preconditioning"]["kind"] = "edm"
    with pytest.raises(InputError, match="'distillation' needs preconditioning of kind 'consistency', found 'edm'"):
        train(settings, part, tmp_path / "out", teacher=teacher)


def configuration() -> dict:
    from small_workflow import small_config

    config = small_config()
    config["runs"] = {
        "teacher": {
            "preconditioning": {"kind": "edm"},
            "sampler": {"kind": "heun", "steps": 3},
            "train": {"recipe": "edm", "steps": 40, "save_from": 22, "save_every": 2, "ema_rates": [0.9]},
        },
        "student": {
            "train": {
                **{"recipe": "distillation", "steps": 40, "save_from": 22, "save_every": 2, "ema_rates": [0.9]},
                "teacher": {"run": "teacher", "rate": 0.9},
            }
        },
    }
    return config


def test_a_configuration_with_a_teacher_is_accepted():
    found = resolve(configuration())["runs"]["student"]
    assert found["train"]["teacher"] == {"run": "teacher", "rate": 0.9}
    assert found["train"]["target_rate"] == 0.95


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("student: {train: {teacher: null}}", "teacher: found null, expected a run and one of its EMA rates"),
        ("student: {train: {teacher: {run: nobody, rate: 0.9}}}", "expected a run of recipe 'edm': teacher"),
        ("student: {train: {teacher: {run: teacher, rate: 0.5}}}", "expected one of the teacher's ema_rates: 0.9"),
        ("student: {train: {continue: 5}}", "continue: found 5, expected 0 for a distillation"),
        ("student: {network: {args: {width: 8}}}", "whose network is another, expected the same network"),
        ("student: {preconditioning: {sigma_max: 40.0}}", "with sigma_max 80.0, expected sigma_max 40.0"),
        ("teacher: {train: {teacher: {run: student, rate: 0.9}}}", "a teacher for recipe 'edm', expected null"),
    ],
)
def test_impossible_teachers_are_refused(change, message):
    config = configuration()
    for run, sections in yaml.safe_load(change).items():
        for section, entry in sections.items():
            config["runs"][run].setdefault(section, {}).update(entry)
    if "sigma_max" in change:
        config["runs"]["student"]["sampler"] = {"kind": "consistency", "sigmas": [40.0]}
    with pytest.raises(InputError) as caught:
        resolve(config)
    assert message in str(caught.value)
