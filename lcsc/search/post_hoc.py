"""Post-hoc EMA (Karras et al. 2024, arXiv 2312.02696): averages of any width from a few that were stored.

A power profile at training time t weighs the weights of time s <= t by p(s) = (g + 1) s^g / t^(g+1). Its width grows
with t, and is named by σ_rel, its standard deviation as a share of t. The average that such a profile would have given
is approximated by the linear combination of stored averages whose profile is nearest to it in least squares.

Training is discrete, but nothing is lost by integrals: an average that keeps (1 - 1/t)^(g+1) of itself at step t gives
the weights of step s exactly the share of its profile that lies between s - 1 and s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.search.base import Coefficients

Vector = NDArray[np.float64]
WIDEST = 12**-0.5  # σ_rel of g = 0, the plain mean since the start
# Singular values below this share of the largest are taken as 0; profiles that are stored in practice stay far above.
CUTOFF = 1e-12


@dataclass(frozen=True)
class Profile:
    """The power profile of exponent g at training step ``step``."""

    exponent: float
    step: float

    @staticmethod
    def of_width(sigma_rel: float, step: float) -> Profile:
        """The profile whose standard deviation is ``sigma_rel`` times ``step``."""
        return Profile(exponent_of(sigma_rel), step)


def exponent_of(sigma_rel: float) -> float:
    """g of the profile of relative width ``sigma_rel``; :class:`InputError` outside of (0, 0.2886].

    With v = 1/σ_rel², the square of :func:`width_of` is the cubic g³ + 7 g² + (16 - v) g + 12 - v = 0, whose largest
    root is the one that is not negative.
    """
    if not 0 < sigma_rel <= WIDEST:
        raise InputError(
            f"σ_rel: found {sigma_rel:g}, expected above 0 and at most {WIDEST:.4f}, which is the mean of all steps"
        )
    v = sigma_rel**-2.0
    return max(float(np.roots([1.0, 7.0, 16.0 - v, 12.0 - v]).real.max()), 0.0)


def width_of(exponent: float) -> float:
    """σ_rel of the profile of exponent g: the standard deviation of the distribution Beta(g + 1, 1)."""
    return float(np.sqrt((exponent + 1) / (exponent + 3)) / (exponent + 2))


def share_before(profile: Profile, steps: Vector) -> Vector:
    """The share of ``profile`` that lies before each of ``steps``: (s / t)^(g+1), at most 1."""
    shares: Vector = np.clip(steps / profile.step, 0.0, 1.0) ** (profile.exponent + 1)
    return shares


def inner_products(left: Sequence[Profile], right: Sequence[Profile]) -> Vector:
    """The integral of the product of each profile of ``left`` with each of ``right``, shape [left, right].

    With t <= u the steps and g, h the exponents of the two: (g + 1)(h + 1) / (g + h + 1) · (t / u)^h / u.
    """
    g, t = _columns(left)
    h, u = (column.T for column in _columns(right))
    late = np.maximum(t, u)
    of_the_later = np.where(t < u, h, g)
    products: Vector = (g + 1) * (h + 1) / (g + h + 1) * (np.minimum(t, u) / late) ** of_the_later / late
    return products


def _columns(profiles: Sequence[Profile]) -> tuple[Vector, Vector]:
    """Exponents and steps, both [n, 1]."""
    values = np.array([(profile.exponent, profile.step) for profile in profiles], dtype=np.float64)
    return values[:, :1], values[:, 1:]


def from_snapshots(stored: Sequence[Profile], target: Profile) -> Vector:
    """The coefficients [n], of sum 1, over averages of profiles ``stored`` that come nearest to ``target``.

    The sum of 1, which the paper leaves to least squares, is kept: the nearest single profile is the start, and its
    differences to the others are fitted to what is missing. A stored target is therefore itself, and nothing else.
    """
    if not stored or len(set(stored)) < len(stored):
        raise InputError(f"post-hoc EMA: found {len(stored)} snapshots, expected one or more, all of other profiles")
    gram, wanted = inner_products(stored, stored), inner_products(stored, [target])[:, 0]
    start = int(np.argmin(np.diag(gram) - 2 * wanted))
    others = np.delete(np.arange(len(stored)), start)
    to_start = gram[others, start]
    differences = gram[np.ix_(others, others)] - to_start[:, None] - to_start[None] + gram[start, start]
    missing = (wanted[others] - wanted[start]) - (to_start - gram[start, start])
    norms = np.sqrt(np.diag(differences))
    scaled = differences / np.outer(norms, norms)
    found = np.linalg.lstsq(scaled, missing / norms, rcond=CUTOFF)[0] / norms
    coefficients: Vector = np.insert(found, start, 1.0 - found.sum())
    return coefficients


def misfit(stored: Sequence[Profile], coefficients: Vector, target: Profile) -> float:
    """The norm of the combined profile's difference from ``target``, as a share of the norm of ``target``."""
    gram, wanted = inner_products(stored, stored), inner_products(stored, [target])[:, 0]
    own = float(inner_products([target], [target])[0, 0])
    squared = float(coefficients @ gram @ coefficients) - 2 * float(coefficients @ wanted) + own
    return float(np.sqrt(max(squared, 0.0) / own))


def from_checkpoints(steps: Sequence[int], sigma_rel: float) -> Coefficients:
    """Coefficients over raw checkpoints nearest to the average of width ``sigma_rel`` at the last step, shape [1, K].

    A checkpoint stands for the steps since the one before it (the first for as many as the second). The boxes do not
    overlap, so least squares gives each what the profile has within it, and spreads what lies before the first one
    evenly over all steps, as the sum of 1 wants.
    """
    ends = np.asarray(steps, dtype=np.float64)
    if len(ends) == 1:
        return np.ones((1, 1))
    bounds = np.concatenate(([max(2 * ends[0] - ends[1], 0.0)], ends))
    shares = np.diff(share_before(Profile.of_width(sigma_rel, float(ends[-1])), bounds))
    row: Coefficients = (shares + (1.0 - shares.sum()) * np.diff(bounds) / (bounds[-1] - bounds[0]))[None]
    return row
