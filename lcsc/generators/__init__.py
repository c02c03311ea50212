"""Generators: weights and noise to images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.checkpoint import checkpoint

from lcsc.errors import InputError
from lcsc.generators.diffusers_networks import content_hash
from lcsc.generators.flat import FlatModule
from lcsc.generators.networks import build_network
from lcsc.generators.preconditioning import AnyDenoiser, Denoiser, build_denoiser
from lcsc.generators.samplers import Sampler, build_sampler
from lcsc.runtime import release_freed_memory

if TYPE_CHECKING:
    from lcsc.bank import TensorEntry

__all__ = [
    "AnyDenoiser",
    "Denoiser",
    "FlatModule",
    "Generator",
    "Sampler",
    "build_denoiser",
    "build_generator",
    "build_network",
    "recorded",
]

# Network evaluations of an image beyond which freed memory is given back after each.
MANY_EVALUATIONS = 4


class Generator:
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
        self.flat, self.denoiser, self.sampler, self.device = flat, denoiser, sampler, device
        self.image_shape = tuple(int(size) for size in image_shape)

    @property
    def nfe(self) -> int:
        """Network evaluations for each image."""
        return self.sampler.nfe

    @property
    def noise_arrays(self) -> int:
        """Arrays of noise for each image."""
        return self.sampler.noise_arrays

    def load(self, flat: NDArray[np.float32] | torch.Tensor) -> None:
        """Put the weights ``flat`` [P] in place."""
        self.flat.load(flat)

    def __call__(self, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images [B, C, H, W] in [-1, 1] for ``noises``, each [B, C, H, W], on :attr:`device`; float32 by default."""
        return self._sample(self.denoiser, noises)

    def differentiable(self, leaves: Sequence[torch.Tensor], noises: Sequence[torch.Tensor]) -> torch.Tensor:
        """The same images with the weights ``leaves`` (see :meth:`FlatModule.leaves`), differentiable in them.

        Of all network evaluations but the last only the input is kept, and the rest made again when gradients
        are (Chen et al. 2016): memory hardly grows with the steps of the sampler.
        """
        calls = 0

        def evaluate(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
            output = self.flat.call_with(leaves, x, noise_level)
            # What is kept lies between what was freed, which adds up over many steps; few need no such care.
            if self.nfe > MANY_EVALUATIONS:
                release_freed_memory()
            return output

        def network(x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls >= self.nfe:
                return self.flat.call_with(leaves, x, noise_level)
            # Nothing is random in a network that is evaluated, and threads share PyTorch's random state.
            output: torch.Tensor = checkpoint(evaluate, x, noise_level, use_reentrant=False, preserve_rng_state=False)
            return output

        return self._sample(replace(self.denoiser, network=network), noises)

    def _sample(self, denoiser: AnyDenoiser, noises: Sequence[torch.Tensor]) -> torch.Tensor:
        if len(noises) != self.noise_arrays:
            raise InputError(f"noise: found {len(noises)} arrays, expected {self.noise_arrays} for this sampler")
        if any(tuple(noise.shape[1:]) != self.image_shape for noise in noises):
            shape = list(noises[0].shape[1:])
            raise InputError(f"noise: found samples of shape {shape}, expected {list(self.image_shape)}")
        images = self.sampler(denoiser, [noise.to(self.device, self.flat.buffer.dtype) for noise in noises])
        return images.clamp(-1, 1)


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the protocol says of a generator: its ``settings``, with the content of files in place of their paths."""
    network = dict(settings["network"])
    if network.get("diffusers"):
        network["diffusers"] = content_hash(network["diffusers"])
    return {**settings, "network": network}


def build_generator(
    settings: Mapping[str, Any],
    tensors: Sequence[TensorEntry],
    others: Mapping[str, NDArray[Any]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Generator:
    """The generator of the config's ``network``, ``preconditioning`` and ``sampler`` for a bank's tensors.

    ``tensors`` and ``others`` are the bank's table and its tensors that are not combined. Raises
    :class:`InputError` where the network does not fit them. Weights are zero until :meth:`Generator.load`.
    ``dtype`` is that of weights and images.
    """
    flat = FlatModule(build_network(settings["network"]), tensors, others, device, dtype)
    denoiser = build_denoiser(flat, settings["preconditioning"])
    sampler = build_sampler(settings["sampler"], denoiser)
    return Generator(flat, denoiser, sampler, settings["network"]["image_shape"], torch.device(device))
