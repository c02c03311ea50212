"""The generator of a run: a network with its weights in a flat buffer, its parameterisation and a sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.checkpoint import checkpoint

from lcsc.errors import InputError
from lcsc.generators.flat import FlatModule
from lcsc.generators.preconditioning import AnyDenoiser
from lcsc.generators.samplers import Sampler
from lcsc.runtime import release_freed_memory

# Network evaluations of an image beyond which freed memory is given back after each.
MANY_EVALUATIONS = 4


class NetworkGenerator:
    """A network with its weights in a flat buffer, and a sampler.

    Not to be shared between threads: each needs one of its own, since :meth:`load` changes the weights.
    """

    def __init__(
        self,
        flat: FlatModule,
        denoiser: AnyDenoiser,
        sampler: Sampler,
        image_shape: Sequence[int],
        device: torch.device,
    ) -> None:
        flat.form.require(device)
        self.flat, self.denoiser, self.sampler, self.device = flat, denoiser, sampler, device
        self.image_shape = tuple(int(size) for size in image_shape)

    @property
    def nfe(self) -> int:
        """Network evaluations for each image."""
        return self.sampler.nfe

    @property
    def noise_shapes(self) -> tuple[tuple[int, ...], ...]:
        """An array of noise of an image's shape for each of the sampler's draws."""
        return (self.image_shape,) * self.sampler.noise_arrays

    @property
    def classes(self) -> int | None:
        """The number of class labels that the network takes; None for an unconditional one."""
        return self.flat.form.classes

    def load(self, flat: NDArray[np.float32] | torch.Tensor) -> None:
        """Put the weights ``flat`` [P] in place."""
        self.flat.load(flat)

    def leaves(self) -> list[torch.Tensor]:
        """The weights in place, as tensors that ask for a gradient; see :meth:`FlatModule.leaves`."""
        return self.flat.leaves()

    def __call__(self, noises: Sequence[torch.Tensor], labels: torch.Tensor | None = None) -> torch.Tensor:
        """Images [B, C, H, W] in [-1, 1] for ``noises``, each [B, C, H, W], on :attr:`device`; float32 by default.

        ``labels`` [B] are integers, for a class-conditional network.
        """

        def network(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
            return self.flat(x, noise_level, labels)

        return self._sample(replace(self.denoiser, network=network), noises)

    def differentiable(
        self, leaves: Sequence[torch.Tensor], noises: Sequence[torch.Tensor], labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same images with the weights ``leaves`` (see :meth:`leaves`), differentiable in them.

        Of all network evaluations but the last only the input is kept, and the rest made again when gradients
        are (Chen et al. 2016): memory hardly grows with the steps of the sampler.
        """
        if self.flat.form.autocast == torch.float16:
            raise InputError(
                "network: autocast is float16, in which the slopes of a score vanish; gradients take bfloat16 or null"
            )
        calls = 0

        def evaluate(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
            output = self.flat.call_with(leaves, x, noise_level, labels)
            # What is kept lies between what was freed, which adds up over many steps; few need no such care.
            if self.nfe > MANY_EVALUATIONS:
                release_freed_memory()
            return output

        def network(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls >= self.nfe:
                return self.flat.call_with(leaves, x, noise_level, labels)
            # Nothing is random in a network that is evaluated, and threads share PyTorch's random state.
            output: torch.Tensor = checkpoint(evaluate, x, noise_level, use_reentrant=False, preserve_rng_state=False)
            return output

        return self._sample(replace(self.denoiser, network=network), noises)

    def _sample(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        if len(noises) != self.sampler.noise_arrays:
            expected = f"{self.sampler.noise_arrays} for this sampler"
            raise InputError(f"noise: found {len(noises)} arrays, expected {expected}")
        if any(tuple(noise.shape[1:]) != self.image_shape for noise in noises):
            shape = list(noises[0].shape[1:])
            raise InputError(f"noise: found samples of shape {shape}, expected {list(self.image_shape)}")
        images = self.sampler(denoiser, [noise.to(self.device, self.flat.buffer.dtype) for noise in noises])
        return images.clamp(-1, 1)
