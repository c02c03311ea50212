"""Networks of the embedded runs, and networks of anyone's that are imported by name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lcsc.errors import InputError, reason_of
from lcsc.generators import diffusers_networks
from lcsc.generators.code_base import code_base, imported

FREQUENCIES = 16
ARGS_FORMS = ("mapping", "namespace")


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

    The folders ``settings['python_path']`` are looked into for its imports. Sections among the arguments are mappings,
    or, with ``settings['args_form']`` "namespace", objects with attributes. With ``settings['diffusers']`` in place of
    the factory it is the model of that config.json or its folder. It is initialised from ``seed``; the state of
    PyTorch's global random number generator stays as it was.
    Raises :class:`InputError` where the factory cannot be imported or called, or returns something else.
    """
    args = dict(settings.get("args") or {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.get("diffusers"):
            return diffusers_networks.from_config(settings["diffusers"], args)
        if not settings.get("factory"):
            raise InputError("network: found neither 'factory' nor 'diffusers', expected one of them; add one")
        with code_base(settings.get("python_path") or ()):
            return _made(str(settings["factory"]), _formed(args, settings.get("args_form")))


def _formed(args: dict[str, Any], form: str | None) -> dict[str, Any]:
    """``args`` with their sections as the factory takes them."""
    if form not in (None, *ARGS_FORMS):
        raise InputError(f"network: args_form is {form!r}, expected one of {', '.join(ARGS_FORMS)}")
    return {key: _namespace(value) for key, value in args.items()} if form == "namespace" else args


def _namespace(value: Any) -> Any:
    if isinstance(value, Mapping):
        return argparse.Namespace(**{key: _namespace(item) for key, item in value.items()})
    return [_namespace(item) for item in value] if isinstance(value, list) else value


def _made(factory: str, args: Mapping[str, Any]) -> nn.Module:
    make = imported(factory, "network")
    try:
        made = make(**args)
    except Exception as error:
        raise InputError(
            f"network: {factory} refuses args {sorted(args)} ({reason_of(error)}); correct args"
        ) from error
    return _only_module(made, factory)


def _only_module(made: Any, factory: str) -> nn.Module:
    """``made`` itself, or the one module of several things, as factories that make a diffusion process, too, return."""
    several = isinstance(made, (tuple, list))
    found = [item for item in (made if several else [made]) if isinstance(item, nn.Module)]
    if len(found) == 1:
        return found[0]
    what = f"{type(made).__name__} with {len(found)} modules" if several else type(made).__name__
    raise InputError(f"network: {factory} returned {what}, expected a torch.nn.Module, or one among other things")
