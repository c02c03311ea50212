"""How networks of different code bases are called: labels, precision, and one call of each kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from code_bases import EDM, OpenAI
from diffusers import UNet2DModel
from test_generators import entries, flatten
from torch import nn

from lcsc.errors import InputError
from lcsc.generators import CallForm, FlatModule, build_generator

X = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LEVEL, LABELS = torch.tensor([0.1, -0.4, 2.0]), torch.tensor([2, 0, 1])


@pytest.mark.parametrize(
    ("module", "settings", "argument"),
    [(OpenAI(), {}, None),
     (OpenAI(classes=3), {"classes": 3}, "y"),
     (EDM(), {}, "class_labels"),
     (EDM(label_dim=3), {"classes": 3, "label_form": "one-hot"}, "class_labels"),
     (EDM(label_dim=3), {"classes": 3, "label_argument": "augment_labels"}, "augment_labels"),
     (UNet2DModel(sample_size=8, block_out_channels=(8, 8), norm_num_groups=2, attention_head_dim=4,
                  down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, num_class_embeds=3),
      {"classes": 3}, "class_labels")],
)  # fmt: skip
def test_the_argument_for_labels_is_found_in_the_signature(module, settings, argument):
    assert CallForm.of(module, settings).label_argument == argument


def test_openai_networks_take_labels_as_integers():
    network = OpenAI(classes=3)
    form = CallForm.of(network, {"classes": 3})
    assert torch.equal(form(network, X, LEVEL, LABELS), network(X, LEVEL, y=LABELS))
    assert not torch.equal(form(network, X, LEVEL, LABELS.flip(0)), network(X, LEVEL, y=LABELS))
    assert torch.equal(CallForm.of(OpenAI(), {})(plain := OpenAI(), X, LEVEL), plain(X, LEVEL))


def test_edm_networks_take_labels_as_rows_with_a_one_and_none_without_classes():
    network = EDM(label_dim=4)
    form = CallForm.of(network, {"classes": 4, "label_form": "one-hot"})
    rows = torch.eye(4)[LABELS]
    assert torch.equal(form(network, X, LEVEL, LABELS), network(X, LEVEL, rows))
    network = EDM().double()
    assert torch.equal(CallForm.of(network, {})(network, X.double(), LEVEL), network(X.double(), LEVEL, None))


def test_labels_must_come_exactly_where_there_are_classes():
    for form, labels in ((CallForm("y", 3), None), (CallForm(), LABELS)):
        with pytest.raises(InputError, match="labels: found none for a class-conditional network, or some"):
            form(OpenAI(), X, LEVEL, labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"classes": 3}, "Linear has no argument y, class_labels, labels for its 3 classes; name the one it has"),
     ({"label_form": "onehot"}, "label_form is 'onehot', expected 'index' or 'one-hot'"),
     ({"autocast": "int8"}, "autocast is 'int8', expected null or one of bfloat16, float16")],
)  # fmt: skip
def test_settings_that_say_no_call_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        CallForm.of(nn.Linear(1, 1), settings)


def test_a_flat_module_passes_labels_on_in_every_kind_of_call():
    source = EDM(label_dim=3)
    table = entries(source)
    flat = FlatModule(EDM(label_dim=3), table, {}, form=CallForm("class_labels", 3, one_hot=True))
    vector = flatten(source, table)
    flat.load(vector)
    expected = source(X, LEVEL, torch.eye(3)[LABELS])
    assert torch.equal(flat(X, LEVEL, LABELS), expected)
    assert torch.equal(flat.call(torch.from_numpy(vector), X, LEVEL, LABELS), expected)
    leaves = flat.leaves()
    output = flat.call_with(leaves, X, LEVEL, LABELS)
    (slope,) = torch.autograd.grad(output.sum(), leaves[-1])
    counts = torch.bincount(LABELS, minlength=3) * X[0].numel()
    assert torch.equal(slope, counts.float()[None])


def test_autocast_calculates_in_its_precision_and_gives_back_the_images():
    network = OpenAI()
    form = CallForm.of(network, {"autocast": "bfloat16"})
    found, exact = form(network, X, LEVEL), network(X, LEVEL)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(found, network(X, LEVEL).float())
    assert network.leave.weight.dtype == torch.float32


SETTINGS = {
    "network": {"factory": "code_bases:OpenAI", "image_shape": [1, 4, 4], "autocast": "float16"},
    "preconditioning": {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5},
    "sampler": {"kind": "consistency", "sigmas": [80.0]},
}


def test_float16_is_refused_on_a_cpu_and_for_gradients(monkeypatch):
    source = OpenAI()
    table = entries(source)
    with pytest.raises(InputError, match="autocast is float16 on a CPU, expected bfloat16 or null"):
        build_generator(SETTINGS, table, {})
    monkeypatch.setattr(CallForm, "require", lambda self, device: None)
    generator = build_generator(SETTINGS, table, {})
    with pytest.raises(InputError, match="autocast is float16, in which the slopes of a score vanish"):
        generator.differentiable(generator.leaves(), [X])


def test_gradients_in_bfloat16_are_close_to_those_in_float32():
    source = OpenAI()
    table = entries(source)
    found = []
    for precision in ("bfloat16", None):
        settings = {**SETTINGS, "network": {**SETTINGS["network"], "autocast": precision}}
        generator = build_generator(settings, table, {})
        generator.load(flatten(source, table))
        leaves = generator.leaves()
        loss = generator.differentiable(leaves, [X]).square().sum()
        gradients = torch.autograd.grad(loss, leaves)
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        found.append(np.concatenate([gradient.numpy().ravel() for gradient in gradients]))
    cosine = found[0] @ found[1] / np.linalg.norm(found[0]) / np.linalg.norm(found[1])
    assert 0.999 < cosine < 1
