"""Numbers of coefficients and of images whose answers are known beforehand."""

import numpy as np
import pytest

from lcsc.paper.coefficient_shapes import cosine, shape_of
from lcsc.paper.looks import original
from lcsc.paper.similarity import related


def test_one_checkpoint_and_the_uniform_average_are_the_ends_of_concentration():
    steps = (10, 20, 30, 40, 50)
    one, uniform = shape_of([[0, 0, 0, 0, 1]], steps), shape_of([[0.2] * 5], steps)
    assert (one.l1, one.l2, one.effective, one.centre, one.negative) == pytest.approx((1, 1, 1, 1, 0))
    assert (uniform.effective, uniform.centre) == pytest.approx((5, 0.5))
    signed = shape_of([[-1, 0, 2, 0, 0]], steps)
    assert (signed.l1, signed.negative, signed.effective) == pytest.approx((3, 0.2, 1 / (1 / 9 + 4 / 9)))


def test_images_are_related_by_their_noise():
    images = np.random.default_rng(0).normal(size=(400, 30))
    assert related(images, images) == 1
    assert related(images, np.random.default_rng(1).normal(size=(400, 30))) == pytest.approx(0, abs=0.05)
    assert related(images, -images) == pytest.approx(-1, abs=0.05)
    assert related(np.ones((3, 2)), np.ones((3, 2))) is None


def test_no_angle_with_nothing():
    assert cosine(np.zeros(3), np.ones(3)) is None


def test_a_variant_looks_like_what_it_varies():
    known = [original(name) for name in ("gradient-penalty-strong", "gradient-tensor", "evolution-2", "from-5")]
    assert known == ["gradient", "gradient-tensor", "evolution", "from-5"]
