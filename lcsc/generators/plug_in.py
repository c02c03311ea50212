"""Generators of one's own: any class that makes samples of weights and noise, named in the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from lcsc.errors import InputError, reason_of
from lcsc.generators.base import Generator
from lcsc.generators.code_base import code_base, imported

if TYPE_CHECKING:
    from lcsc.bank import TensorEntry

NEEDED = ("device", "nfe", "noise_shapes", "classes", "load", "__call__")


def build_plug_in(
    settings: Mapping[str, Any],
    tensors: Sequence[TensorEntry],
    others: Mapping[str, NDArray[Any]],
    device: torch.device,
) -> Generator:
    """The generator that ``settings['factory']`` ("module:Class") makes.

    It is called as ``factory(tensors, others, device, **args)``: with the bank's table, its tensors that are not
    combined, by name, and where to work. What it returns must have all that :class:`Generator` has, and the methods of
    :class:`DifferentiableGenerator` where gradients are wanted. Raises :class:`InputError` where it does not.
    """
    factory, args = str(settings["factory"]), dict(settings.get("args") or {})
    with code_base(settings.get("python_path") or ()):
        make = imported(factory, "generator")
        try:
            made = make(tensors, others, device, **args)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"generator: {factory} cannot be made ({reason_of(error)}); correct it or args") from error
    missing = [name for name in NEEDED if not hasattr(made, name)]
    if missing:
        raise InputError(
            f"generator: {factory} returned {type(made).__name__} without {', '.join(missing)}; expected all that "
            "lcsc.generators.Generator has"
        )
    generator: Generator = made
    return generator
