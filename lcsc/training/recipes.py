"""The recipes by which the embedded trainings learn: what the loss of one optimisation step is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.config import kinds
from lcsc.config.kinds import DISTILLATION
from lcsc.errors import InputError
from lcsc.generators.preconditioning import AnyDenoiser, Denoiser, require_kind
from lcsc.training.consistency import ConsistencyTraining
from lcsc.training.denoising import DenoisingTraining
from lcsc.training.distillation import ConsistencyDistillation

# Images [B, C, H, W], the step (from 0) and a generator of random numbers to the mean loss.
Recipe = Callable[[torch.Tensor, int, torch.Generator], torch.Tensor]
RECIPES: dict[str, Callable[[Mapping[str, Any], Denoiser], Recipe]] = {
    "consistency": ConsistencyTraining,
    "edm": DenoisingTraining,
}


def make_recipe(
    options: Mapping[str, Any], denoiser: AnyDenoiser, network: nn.Module, teacher: Path | None
) -> tuple[Recipe, Callable[[], None]]:
    """The loss of the config's ``train`` section, and what its recipe does after each optimisation step.

    ``teacher`` is the file of weights that a distillation learns from, and that no other recipe takes.
    """
    name = str(options["recipe"])
    if name not in kinds.RECIPES:
        raise InputError(f"train: recipe is {name!r}, expected one of {', '.join(sorted(kinds.RECIPES))}")
    require_kind(denoiser, kinds.RECIPES[name], f"train: recipe {name!r}")
    assert isinstance(denoiser, Denoiser)  # no recipe is for another
    if (teacher is not None) != (name == DISTILLATION):
        found, way = ("no teacher", "give its weights") if teacher is None else ("a teacher", "leave it out")
        raise InputError(f"train: recipe {name!r}: found {found}; {way} (--teacher)")
    if teacher is not None:
        distillation = ConsistencyDistillation(options, denoiser, network, teacher)
        return distillation, distillation.after_step
    return RECIPES[name](options, denoiser), lambda: None
