"""The span of the checkpoints beside the weights: what moves when both are fine-tuned at once.

The weights are θ + Σ_k B(z)_gk θ_k: all weights θ [P], moved one by one, and steps z [n] along the principal axes of
each group's differences (see :mod:`lcsc.search.coordinates`), whose coefficients B sum to 0. θ could reach every point
alone, but Adam gives each weight a step of the same size; z moves all weights of a group together, along the
few directions that training itself took.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.gram import centred_gram
from lcsc.groups import Groups, make_groups
from lcsc.search.coordinates import PrincipalCoordinates
from lcsc.search.domain import Vector


@dataclass(frozen=True)
class Span:
    """Steps z [n] along the checkpoints' differences, to be made at a learning rate of their own, ``rate``."""

    bank: Bank
    groups: Groups
    coordinates: PrincipalCoordinates
    rate: float

    @classmethod
    def of(cls, bank: Bank, settings: Mapping[str, Any]) -> Span:
        """The span of the checkpoints in ``bank``; ``settings``: groups, learning_rate."""
        groups = make_groups(bank.tensors, settings["groups"])
        coordinates = PrincipalCoordinates(np.zeros((groups.G, bank.K)), centred_gram(bank, groups))
        return cls(bank, groups, coordinates, float(settings["learning_rate"]))

    @property
    def start(self) -> Vector:
        """No step, [n]."""
        return self.coordinates.start

    def moved(self, point: Vector) -> NDArray[np.float32]:
        """What the steps ``point`` [n] add to the weights, [P]."""
        added: NDArray[np.float32] = combine(self.bank, self.coordinates.rows(point)[None], self.groups)[0]
        return added

    def slope(self, gradient: NDArray[np.float64]) -> Vector:
        """The gradient [n] in z from that in the weights [P]: its projection on the directions z moves along."""
        return self.coordinates.slope(coefficient_gradient(self.bank, gradient, self.groups))
