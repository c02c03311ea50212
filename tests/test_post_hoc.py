"""Post-hoc EMA: closed forms against quadrature and recursions, and coefficients that keep their sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from lcsc.errors import InputError
from lcsc.search import averaging, post_hoc
from lcsc.search.post_hoc import Profile

WIDTHS = st.floats(0.01, 0.28)
STEPS = list(range(1025, 2001, 25))


def density(profile: Profile, s: float) -> float:
    return (profile.exponent + 1) * s**profile.exponent / profile.step ** (profile.exponent + 1)


def tracked(walk: np.ndarray, exponent: float) -> np.ndarray:
    """The average after each step, by its recursion: keep (1 - 1/t)^(g+1), take the rest from the weights."""
    averages, average = [], np.zeros(walk.shape[1])
    for step, weights in enumerate(walk, start=1):
        kept = (1 - 1 / step) ** (exponent + 1)
        average = kept * average + (1 - kept) * weights
        averages.append(average)
    return np.array(averages)


def random_walk(steps: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, 50)).cumsum(axis=0)


def grid(widths: tuple[float, ...], total: int, count: int) -> list[Profile]:
    return [Profile.of_width(width, total * (i + 1) // count) for width in widths for i in range(count)]


@given(WIDTHS)
def test_widths_and_exponents_belong_together(width):
    assert post_hoc.width_of(post_hoc.exponent_of(width)) == pytest.approx(width, rel=1e-10)


def test_known_widths():
    """Karras et al. 2024, section 3.1: σ_rel 0.05 and 0.10 are exponents 16.97 and 6.94; 0 is the plain mean."""
    assert post_hoc.exponent_of(0.05) == pytest.approx(16.97, abs=5e-3)
    assert post_hoc.exponent_of(0.10) == pytest.approx(6.94, abs=5e-3)
    assert post_hoc.exponent_of(post_hoc.WIDEST) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("width", [0.0, -0.1, 0.29, float("nan")])
def test_widths_that_no_profile_has_are_refused(width):
    with pytest.raises(InputError, match=r"σ_rel: found .* expected above 0 and at most 0.2887"):
        post_hoc.exponent_of(width)


@given(WIDTHS)
def test_the_width_is_the_standard_deviation_of_the_profile(width):
    profile = Profile.of_width(width, 1.0)
    moments = [quad(lambda s, n=n: s**n * density(profile, s), 0, 1)[0] for n in range(3)]
    assert moments[0] == pytest.approx(1, rel=1e-8)
    assert np.sqrt(moments[2] - moments[1] ** 2) == pytest.approx(width, rel=1e-6)


@given(WIDTHS, WIDTHS, st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_inner_products_are_the_integrals(first, second, early, late):
    a, b = Profile.of_width(first, early), Profile.of_width(second, late)
    (found,) = post_hoc.inner_products([a], [b])[0]
    expected = quad(lambda s: density(a, s) * density(b, s), 0, min(early, late), epsabs=0, epsrel=1e-10)[0]
    assert found == pytest.approx(expected, rel=1e-8)
    assert found == pytest.approx(float(post_hoc.inner_products([b], [a])[0, 0]), rel=1e-12)


def test_a_stored_profile_is_itself_and_nothing_else():
    stored = grid((0.05, 0.1), 2000, 20)
    for place in (0, 7, 19, 33, 39):
        np.testing.assert_array_equal(post_hoc.from_snapshots(stored, stored[place]), np.eye(40)[place])
        assert post_hoc.misfit(stored, np.eye(40)[place], stored[place]) < 1e-7


@given(WIDTHS, st.integers(1, 12), st.integers(100, 2000))
def test_coefficients_sum_to_one_and_no_other_such_row_is_nearer(width, count, total):
    stored, target = grid((0.05, 0.1), total, count), Profile.of_width(width, total)
    row = post_hoc.from_snapshots(stored, target)
    assert row.sum() == pytest.approx(1, abs=1e-12)
    best = post_hoc.misfit(stored, row, target)
    rng = np.random.default_rng(total)
    for _ in range(5):
        other = rng.normal(scale=0.01, size=len(row))
        assert post_hoc.misfit(stored, row + other - other.mean(), target) >= best - 1e-7


def test_the_misfit_is_that_of_the_combined_profile():
    stored, target = grid((0.05, 0.1), 300, 4), Profile.of_width(0.07, 300)
    row = post_hoc.from_snapshots(stored, target)

    def difference(s: float) -> float:
        parts = (c * density(p, s) * (s <= p.step) for c, p in zip(row, stored, strict=True))
        return (sum(parts) - density(target, s)) ** 2

    breaks = sorted({p.step for p in stored})
    squared = quad(difference, 0, 300, points=breaks, limit=200)[0]
    norm = quad(lambda s: density(target, s) ** 2, 0, 300)[0]
    assert post_hoc.misfit(stored, row, target) == pytest.approx(np.sqrt(squared / norm), rel=1e-5)


@pytest.mark.parametrize(("width", "tolerance"), [(0.04, 0.02), (0.07, 0.005), (0.15, 0.01), (0.2, 0.02)])
def test_two_tracked_averages_give_a_third_that_was_not_tracked(width, tolerance):
    walk = random_walk(2000)
    stored = grid((0.05, 0.1), 2000, 20)
    averages = {p.exponent: tracked(walk, p.exponent) for p in stored}
    snapshots = np.array([averages[p.exponent][int(p.step) - 1] for p in stored])
    row = post_hoc.from_snapshots(stored, Profile.of_width(width, 2000))
    expected = tracked(walk, post_hoc.exponent_of(width))[-1]
    distance = np.linalg.norm(row @ snapshots - expected)
    assert distance < tolerance * np.linalg.norm(walk[-1] - expected)
    nearest = min(np.linalg.norm(snapshot - expected) for snapshot in snapshots)
    assert distance < 0.2 * nearest


@pytest.mark.parametrize("stored", [[], [Profile(6.0, 100), Profile(6.0, 100)]])
def test_no_snapshots_and_the_same_twice_are_refused(stored):
    with pytest.raises(InputError, match=r"post-hoc EMA: found .* snapshots, expected one or more, all of other"):
        post_hoc.from_snapshots(stored, Profile(7.0, 100))


@given(WIDTHS)
def test_every_step_saved_gives_the_tracked_average_itself(width):
    walk = random_walk(60)
    row = post_hoc.from_checkpoints(range(1, 61), width)
    np.testing.assert_allclose(row[0] @ walk, tracked(walk, post_hoc.exponent_of(width))[-1], rtol=1e-9)


@given(WIDTHS, st.integers(0, 2000), st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_rows_over_checkpoints_sum_to_one_and_are_least_squares(width, first, gaps):
    steps = [first, *(first + int(gap) for gap in np.cumsum(gaps))]
    row = post_hoc.from_checkpoints(steps, width)[0]
    assert row.shape == (len(steps),)
    assert row.sum() == pytest.approx(1, abs=1e-12)
    assert (row >= -1e-15).all()  # up to rounding
    # Each box's misfit per step must be the same: else moving a little from one box to another would be nearer.
    widths = np.diff([max(2 * steps[0] - steps[1], 0), *steps])
    profile = Profile.of_width(width, steps[-1])
    inside = np.diff(post_hoc.share_before(profile, np.array([steps[0] - widths[0], *steps], dtype=float)))
    each = (row - inside)[widths > 0] / widths[widths > 0]
    np.testing.assert_allclose(each, (row - inside).sum() / widths.sum(), atol=1e-14)


def test_narrow_rows_are_the_last_checkpoint_and_wide_ones_the_mean():
    np.testing.assert_allclose(post_hoc.from_checkpoints(STEPS, 1e-4), averaging.single(40, 39), atol=1e-12)
    np.testing.assert_allclose(post_hoc.from_checkpoints(STEPS, post_hoc.WIDEST), averaging.uniform(40), atol=1e-6)
    np.testing.assert_array_equal(post_hoc.from_checkpoints([7], 0.1), [[1.0]])
