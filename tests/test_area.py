"""Making images smaller: exact, by fractions, and refused where images would grow."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.data import area
from lcsc.errors import InputError


def by_fractions(image: np.ndarray, size: int) -> np.ndarray:
    """The mean over each square of a square image [L, L], rounded half up, in fractions."""
    length = len(image)
    shares = [
        [max(Fraction(0), min(Fraction((i + 1) * length, size), j + 1) - max(Fraction(i * length, size), j))
         for j in range(length)]
        for i in range(size)
    ]  # fmt: skip
    side = Fraction(length, size)
    rows = range(length)
    return np.array(
        [[floor(sum(int(image[j, k]) * shares[a][j] * shares[b][k] for j in rows for k in rows) / side**2
                + Fraction(1, 2)) for b in range(size)] for a in range(size)]
    )  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.data())
def test_each_pixel_is_the_exact_mean_of_its_area(length, choice):
    size, seed = choice.draw(st.integers(1, length)), choice.draw(st.integers(0, 99))
    images = np.random.default_rng(seed).integers(0, 256, (2, 1, length, length), dtype=np.uint8)
    made = area.smaller(images, size)
    assert made.dtype == np.uint8
    for image, small in zip(images, made, strict=True):
        assert np.array_equal(small[0], by_fractions(image[0], size))


def test_constant_images_stay_and_halves_are_means_of_four():
    images = np.full((3, 3, 30, 30), 201, dtype=np.uint8)
    assert (area.smaller(images, 7) == 201).all()
    image = np.array([[0, 1], [1, 0]], dtype=np.uint8)[None, None]
    assert area.smaller(image, 1).item() == 1  # 0.5, rounded up


def test_results_do_not_depend_on_how_many_images_come_together(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 13, 13), dtype=np.uint8)
    whole = area.smaller(images, 5)
    monkeypatch.setattr(area, "ROWS", 2)
    assert np.array_equal(area.smaller(images, 5), whole)


def test_the_middle_is_taken_of_images_that_are_not_square():
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 12), dtype=np.uint8)
    assert np.array_equal(area.smaller(images, 8), images[:, :, :, 2:10])
    assert np.array_equal(area.smaller(images, 4), area.smaller(np.ascontiguousarray(images[:, :, :, 2:10]), 4))


def test_images_do_not_grow():
    with pytest.raises(InputError, match=r"size is 9, found 12×8 pixels"):
        area.smaller(np.zeros((1, 1, 8, 12), np.uint8), 9)
