"""What every generator offers: weights and noise to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray


class Generator(Protocol):
    """Makes samples with the weights it was last given; used by one thread at a time.

    Samples are images [B, C, H, W] in [-1, 1], or what stands for them: audio as [B, 1, 1, T], say. They depend on
    weights, noise and labels of the same sample alone, and on nothing random.
    """

    @property
    def device(self) -> torch.device:
        """Where samples are made."""

    @property
    def nfe(self) -> int:
        """Network evaluations for each sample."""

    @property
    def noise_shapes(self) -> Sequence[Sequence[int]]:
        """The shape of each array of standard normal noise that a sample takes."""

    @property
    def classes(self) -> int | None:
        """The number of class labels; None for a generator that takes none."""

    def load(self, flat: NDArray[np.float32] | torch.Tensor) -> None:
        """Put the weights ``flat`` [P], in the order of the bank's table, in place."""

    def __call__(self, noises: Sequence[torch.Tensor], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Samples [B, C, H, W] for ``noises``, float32 [B, *shape] each, and integer ``labels`` [B], on the device."""


@runtime_checkable
class DifferentiableGenerator(Generator, Protocol):
    """A generator whose samples have a gradient in the weights, which gradient searches and fine-tuning need."""

    def leaves(self) -> list[torch.Tensor]:
        """The weights in place as tensors that ask for a gradient; flattened one after another they are all P."""

    def differentiable(
        self, leaves: Sequence[torch.Tensor], noises: Sequence[torch.Tensor], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The samples that a call makes, with the weights ``leaves``, differentiable in them."""
