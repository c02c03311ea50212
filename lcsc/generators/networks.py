"""Networks of the embedded runs, and networks of anyone's that are imported by name."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lcsc.errors import InputError
from lcsc.generators import diffusers_networks

FREQUENCIES = 16


class ResidualMLP(nn.Module):
    """A residual multilayer perceptron on all values of a small image.

    Each block normalises the sum of its input and an embedding of the noise level (LayerNorm first, Xiong et
    al. 2020) and adds what two linear layers make of it. The noise level, c_noise of EDM, is embedded by
    cosines and sines of frequencies from 0.1 to 10.
    """

    frequencies: torch.Tensor

    def __init__(self, image_shape: Sequence[int], width: int, depth: int) -> None:
        super().__init__()
        values = math.prod(image_shape)
        # Not persistent: it is no weight, so it has no place in checkpoints and banks.
        self.register_buffer("frequencies", torch.logspace(-1, 1, FREQUENCIES), persistent=False)
        self.embedding = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Linear(values, width)
        self.blocks = nn.ModuleList(_block(width) for _ in range(depth))
        self.leave = nn.Linear(width, values)

    def forward(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        """Images [B, C, H, W] and noise levels [B] to [B, C, H, W]."""
        phases = torch.outer(noise_level, self.frequencies)
        level = self.embedding(torch.cat((phases.cos(), phases.sin()), dim=1))
        hidden = self.enter(x.flatten(1))
        for block in self.blocks:
            hidden = hidden + block(hidden + level)
        output: torch.Tensor = self.leave(hidden)
        return output.view_as(x)


def _block(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))


def build_network(settings: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """The module that ``settings['factory']`` ("module:callable") returns for ``settings['args']``.

    With ``settings['diffusers']`` in place of the factory it is the model of that config.json or its folder.
    It is initialised from ``seed``; the state of PyTorch's global random number generator stays as it was.
    Raises :class:`InputError` where the factory cannot be imported or called, or returns something else.
    """
    args = dict(settings.get("args") or {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.get("diffusers"):
            return diffusers_networks.from_config(settings["diffusers"], args)
        if not settings.get("factory"):
            raise InputError("network: found neither 'factory' nor 'diffusers', expected one of them; add one")
        return _made(str(settings["factory"]), args)


def _made(factory: str, args: Mapping[str, Any]) -> nn.Module:
    make = _import(factory)
    try:
        network = make(**args)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"network: {factory} refuses args {sorted(args)} ({reason}); correct args") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"network: {factory} returned {type(network).__name__}, expected a torch.nn.Module")
    return network


def _import(factory: str) -> Any:
    module_name, colon, attribute = factory.partition(":")
    if not (module_name and colon and attribute):
        raise InputError(f"network: factory is {factory!r}, expected 'module:callable'")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"network: factory {factory!r} cannot be imported ({reason}); install it, or put its folder on PYTHONPATH"
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise InputError(f"network: factory {factory!r}: {module_name} has no callable {attribute!r}; correct the name")
    return found
