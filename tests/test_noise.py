"""Noise with class labels: of the sample alone, and what unconditional runs draw is as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lcsc import noise, seeds
from lcsc.noise import Noise

SHAPES = [(1, 2, 2), (3,)]


@given(st.integers(1, 600), st.integers(1, 300), st.booleans())
def test_chunks_of_any_size_are_the_whole_with_its_labels(images, size, kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "CACHED_NOISE_BYTES", 1 << 22 if kept else 0)
        whole = Noise("search", 3, 1, 600, SHAPES, 10)
        parts = [whole.chunk(start, min(start + size, images)) for start in range(0, images, size)]
    assert all(part.labels is not None for part in parts)
    labels = np.concatenate([part.labels for part in parts])
    np.testing.assert_array_equal(labels, seeds.labels("search", 3, 1, 0, images, 10))
    for place, shape in enumerate(SHAPES):
        found = np.concatenate([part.arrays[place] for part in parts])
        np.testing.assert_array_equal(found, seeds.noise("search", 3, 1, 0, images, shape, place))


def test_labels_change_no_noise_and_come_with_classes_alone():
    plain, labelled = (Noise("report", 0, 0, 50, SHAPES, classes).chunk(7, 30) for classes in (None, 4))
    assert plain.labels is None
    assert labelled.labels.dtype == torch.int64
    assert len(labelled.labels) == len(labelled.arrays[0]) == 23
    assert all(torch.equal(a, b) for a, b in zip(plain.arrays, labelled.arrays, strict=True))


def test_a_draw_moves_with_its_labels():
    draw = Noise("report", 0, 0, 5, SHAPES, 4).chunk(0, 5).to(torch.device("meta"))
    assert {tensor.device.type for tensor in (*draw.arrays, draw.labels)} == {"meta"}
    plain = Noise("report", 0, 0, 5, SHAPES).chunk(0, 5)
    assert plain.to(torch.device("cpu")).labels is None
