"""Generators: weights and noise to images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from lcsc.generators.base import DifferentiableGenerator, Generator
from lcsc.generators.calls import CallForm
from lcsc.generators.diffusers_networks import content_hash
from lcsc.generators.flat import FlatModule
from lcsc.generators.network_generator import NetworkGenerator
from lcsc.generators.networks import build_network
from lcsc.generators.plug_in import build_plug_in
from lcsc.generators.preconditioning import AnyDenoiser, Denoiser, build_denoiser
from lcsc.generators.samplers import Sampler, build_sampler

if TYPE_CHECKING:
    from lcsc.bank import TensorEntry

__all__ = [
    "GENERATOR_KEYS",
    "AnyDenoiser",
    "CallForm",
    "Denoiser",
    "DifferentiableGenerator",
    "FlatModule",
    "Generator",
    "NetworkGenerator",
    "Sampler",
    "build_denoiser",
    "build_generator",
    "build_network",
    "build_network_generator",
    "generator_settings",
    "image_shape_of",
    "recorded",
]

# The sections of a run that say how its samples are made: the last one alone, or the others.
GENERATOR_KEYS = ("network", "preconditioning", "sampler", "generator")


def build_generator(
    settings: Mapping[str, Any],
    tensors: Sequence[TensorEntry],
    others: Mapping[str, NDArray[Any]],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Generator:
    """The generator of the config's ``generator``, or of ``network``, ``preconditioning`` and ``sampler``.

    ``tensors`` and ``others`` are the bank's table and its tensors that are not combined. Raises
    :class:`InputError` where the network does not fit them. Weights are zero until :meth:`Generator.load`.
    ``dtype`` is that of a network's weights and images.
    """
    device = torch.device(device)
    if settings.get("generator"):
        return build_plug_in(settings["generator"], tensors, others, device)
    return build_network_generator(settings, tensors, others, device, dtype)


def build_network_generator(
    settings: Mapping[str, Any],
    tensors: Sequence[TensorEntry],
    others: Mapping[str, NDArray[Any]],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> NetworkGenerator:
    """The generator of the config's ``network``, ``preconditioning`` and ``sampler``; see :func:`build_generator`."""
    network = settings["network"]
    module = build_network(network)
    flat = FlatModule(module, tensors, others, device, dtype, CallForm.of(module, network))
    denoiser = build_denoiser(flat, settings["preconditioning"])
    sampler = build_sampler(settings["sampler"], denoiser)
    return NetworkGenerator(flat, denoiser, sampler, network["image_shape"], device)


def generator_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a step's ``settings`` those that say how samples are made."""
    return {key: settings[key] for key in GENERATOR_KEYS if key in settings}


def image_shape_of(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape (channels, height, width) that the ``settings`` of a generator give its samples."""
    section = settings.get("generator") or settings["network"]
    return tuple(int(size) for size in section["image_shape"])


def recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the protocol says of a generator: its ``settings``, with content in place of where files and code are."""
    found = {key: dict(section) for key, section in settings.items()}
    for section in found.values():
        section.pop("python_path", None)
    network = found.get("network", {})
    if network.get("diffusers"):
        network["diffusers"] = content_hash(network["diffusers"])
    return found
