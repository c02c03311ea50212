"""The check before any work finds what chance would not."""

from __future__ import annotations

from types import SimpleNamespace

import code_bases
import pytest
import torch

from lcsc.dry_check import check_generator
from lcsc.errors import InputError

KNOWN = 10


def generator(classes: int | None) -> SimpleNamespace:
    """What looks like a generator around a network that knows ten classes."""
    network = code_bases.OpenAI(classes=KNOWN)

    class Made(SimpleNamespace):
        def __call__(self, arrays, labels=None):
            return network(arrays[0], torch.ones(len(arrays[0])), labels)

    return Made(load=lambda weights: None, noise_shapes=[(1, 4, 4)], classes=classes, device=torch.device("cpu"))


BANK = SimpleNamespace(checkpoint=lambda place: None, steps=[1])


def test_the_right_number_of_classes_passes():
    assert check_generator(generator(KNOWN), BANK, (1, 4, 4)).shape == (2, 1, 4, 4)


def test_more_classes_than_the_network_knows_are_found_whatever_labels_chance_would_draw():
    with pytest.raises(InputError, match=r"makes no images \(IndexError: .*`classes` is 11, `label_form`"):
        check_generator(generator(KNOWN + 1), BANK, (1, 4, 4))


def test_missing_classes_are_hinted_at():
    with pytest.raises(InputError, match=r"makes no images \(AssertionError: must specify y .*its `classes`"):
        check_generator(generator(None), BANK, (1, 4, 4))
