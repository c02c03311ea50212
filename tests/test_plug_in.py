"""Generators of one's own, and class-conditional networks: scored, differentiated and checked like any other."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from code_bases import EDM
from runs import save_run
from test_cli import lcsc, one_error_line, settings
from tiny import CPU, SCORING
from torch import nn

from lcsc.bank import Bank
from lcsc.collection import collect
from lcsc.errors import InputError
from lcsc.gradients import PARTS, GradientEvaluator
from lcsc.runtime import deterministic
from lcsc.scoring import Context, score_candidates
from lcsc.search import Candidate, averaging

PAGE = Path(__file__).resolve().parent.parent / "docs" / "networks.md"
EVALUATION = {key: SCORING[key] for key in ("evaluation", "threads")}


def bank_of(folder: Path, make: Any) -> Bank:
    """Five checkpoints of the module that ``make`` makes."""
    states = []
    for seed in range(5):
        torch.manual_seed(seed)
        states.append(dict(make().state_dict()))
    save_run(folder / "run", states)
    return collect(folder / "run", folder / "bank")


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bank, dict[str, Any]]:
    """A bank, and scoring settings with the class of docs/networks.md in place of a network."""
    folder = tmp_path_factory.mktemp("plugged")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "own_latents.py").write_text(code)
    bank = bank_of(folder, lambda: nn.Conv2d(2, 2, 3, padding="same"))
    generator = {
        "factory": "own_latents:Latents", "args": {"width": 3}, "python_path": [str(folder)], "image_shape": [1, 8, 8]
    }  # fmt: skip
    return bank, {**EVALUATION, "generator": generator}


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bank, dict[str, Any]]:
    """A bank and scoring settings of a class-conditional network with EDM's signature."""
    bank = bank_of(tmp_path_factory.mktemp("conditional"), lambda: EDM(label_dim=4))
    network = {"factory": "code_bases:EDM", "args": {"label_dim": 4}, "image_shape": [1, 8, 8]}
    network |= {"classes": 4, "label_form": "one-hot"}
    return bank, {**SCORING, "network": network}


def evaluator_of(found: tuple[Bank, dict[str, Any]], tiny_run: Any, workers: int = 1) -> tuple[Context, Any]:
    context = Context.open(found[1], found[0].path, CPU, workers)
    evaluator = context.evaluator(tiny_run.extractor("mlp"), tiny_run.reference("mlp"), "search", 120)
    return context, evaluator


@pytest.mark.parametrize("name", ["plugged", "conditional"])
def test_scores_and_gradients_are_the_same_for_any_number_of_workers(name, request, tiny_run):
    found = request.getfixturevalue(name)
    rows = [Candidate(averaging.ema_shaped(found[0].steps, rate), "test") for rate in (0.5, 0.9, 0.95, 0.98)]
    scores, gradients = [], []
    with deterministic(1):
        for workers in (1, 3):
            context, evaluator = evaluator_of(found, tiny_run, workers)
            scores.append([score.value for score in score_candidates(context, evaluator, rows)])
            scored = GradientEvaluator.of(evaluator).value_and_gradient(found[0].checkpoint(2))
            gradients.append(scored.gradient)
    assert scores[0] == scores[1]
    assert len(set(scores[0])) == len(rows)
    assert np.array_equal(*gradients)


@pytest.mark.parametrize("name", ["plugged", "conditional"])
def test_gradients_are_those_of_finite_differences(name, request, tiny_run):
    found = request.getfixturevalue(name)
    with deterministic(1):
        _, evaluator = evaluator_of(found, tiny_run)
        smooth = GradientEvaluator(
            evaluator.workers, evaluator.extractor, evaluator.reference, evaluator.noise, 50, quantised=False
        )
        weights = found[0].checkpoint(1)
        _, gradient = smooth.value_and_gradient(weights)
        assert gradient is not None
        direction = (gradient / np.linalg.norm(gradient)).astype(np.float32)
        ahead, behind = (smooth.value_and_gradient(weights + s * 2e-3 * direction).score.value for s in (1, -1))
    assert (ahead - behind) / 4e-3 == pytest.approx(np.linalg.norm(gradient), rel=0.01)


def test_shares_of_a_conditional_gradient_are_those_of_the_whole(conditional, tiny_run):
    with deterministic(1):
        _, evaluator = evaluator_of(conditional, tiny_run)
        gradients = GradientEvaluator.of(evaluator)
        weights, half = conditional[0].checkpoint(1), PARTS // 2
        whole = gradients.features(weights, gradients.parts)
        first, second = (gradients.features(weights, gradients.parts[side]) for side in (np.s_[:half], np.s_[half:]))
    assert np.array_equal(whole, np.concatenate([first, second]))


def test_labels_reach_the_network(conditional, tiny_run):
    """With the labels' weights the same for all classes the scores change, so the labels differ."""
    context, evaluator = evaluator_of(conditional, tiny_run)
    (entry,) = (entry for entry in context.bank.tensors if entry.name == "map_label.weight")
    weights = context.bank.checkpoint(0)
    flat = weights.copy()
    part = np.s_[entry.offset : entry.offset + entry.count]
    flat[part] = weights[part].mean()
    assert evaluator.score(weights).value != evaluator.score(flat).value
    assert set(evaluator.noise.chunk(0, 120).labels.tolist()) == set(range(4))


def test_the_protocol_holds_the_generator_but_not_where_it_stands(plugged, conditional, tiny_run):
    def protocol(found: tuple[Bank, dict[str, Any]]) -> Any:
        context = Context.open(found[1], found[0].path, CPU, 1)
        return context.protocol(tiny_run.extractor("mlp"), tiny_run.reference("mlp"), "search", 100)

    own = protocol(plugged)
    section = {key: value for key, value in plugged[1]["generator"].items() if key != "python_path"}
    assert own.generator == {"generator": section}
    assert own.nfe == 1
    assert protocol(conditional).generator["network"] == conditional[1]["network"]


class Broken:
    """A generator that lacks parts, or makes what it should not."""

    device, nfe, noise_shapes, classes = CPU, 1, [(1, 2, 2)], None

    def __init__(self, tensors, others, device, fault):
        if fault == "making":
            raise ValueError("no such file")
        self.fault = fault
        if fault == "parts":
            self.__class__ = type("Partial", (), {"load": Broken.load})

    def load(self, weights):
        pass

    def __call__(self, noises, labels=None):
        if self.fault == "calling":
            raise RuntimeError("mat1 and mat2\nshapes cannot be multiplied")
        if self.fault == "values":
            return noises[0] / 0
        return noises[0][:, :, :1] if self.fault == "shape" else noises[0]


@pytest.mark.parametrize(
    ("fault", "message"),
    [("making", r"test_plug_in:Broken cannot be made \(no such file\); correct it or args"),
     ("parts", r"returned Partial without device, nfe, noise_shapes, classes, __call__; expected all that"),
     ("calling", r"makes no images \(RuntimeError: mat1 and mat2 shapes cannot be multiplied\); correct network"),
     ("values", r"8 of 8 values are not finite in images of the checkpoint of step 10; check"),
     ("shape", r"makes images of shape \[2, 1, 1, 2\], expected \[2, 1, 2, 2\] as image_shape says")],
)  # fmt: skip
def test_generators_that_make_no_images_are_refused_before_any_work(plugged, fault, message):
    generator = {"factory": "test_plug_in:Broken", "args": {"fault": fault}, "image_shape": [1, 2, 2]}
    with pytest.raises(InputError, match=message) as caught:
        Context.open({**EVALUATION, "generator": generator}, plugged[0].path, CPU, 1)
    assert "\n" not in str(caught.value)


def test_gradients_of_a_generator_without_them_are_refused(plugged, tiny_run):
    generator = {"factory": "test_plug_in:Broken", "args": {"fault": None}, "image_shape": [1, 2, 2]}
    found = plugged[0], {**EVALUATION, "generator": generator}
    context = Context.open(found[1], found[0].path, CPU, 1)
    evaluator = context.evaluator(tiny_run.extractor("mlp"), tiny_run.reference("mlp"), "search", 20)
    with pytest.raises(InputError, match="generator: has no 'leaves' and 'differentiable', expected both"):
        GradientEvaluator.of(evaluator)


def test_check_says_what_it_found(plugged, capsys):
    bank, scoring = plugged
    found = {**scoring, "images": 100, "baselines": {"ema_shaped": []}}
    assert lcsc("check", *settings(**found), "--bank", bank.path) == 0
    told = capsys.readouterr().err
    assert "names and shapes of 2 tensors fit: K = 5, P = 38" in told
    assert "2 images of the checkpoint of step 10: shape [1, 8, 8]" in told


def test_check_refuses_another_network(plugged, capsys):
    bank, scoring = plugged
    found = copy.deepcopy({**scoring, "images": 100, "baselines": {"ema_shaped": []}})
    found["generator"]["args"]["width"] = 5
    assert lcsc("check", *settings(**found), "--bank", bank.path) == 2
    assert "'weight' has shape [2, 2, 5, 5] in the network, expected [2, 2, 3, 3]" in one_error_line(capsys)
    del found["generator"]["image_shape"]
    assert lcsc("check", *settings(**found), "--bank", bank.path) == 2
    assert "generator.image_shape: not found; step 'baselines' needs it" in one_error_line(capsys)
