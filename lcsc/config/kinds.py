"""Kinds of preconditioning, and the samplers and recipes of training that each is for."""

from __future__ import annotations

from collections.abc import Mapping

# The recipe that learns from another run's weights.
DISTILLATION = "distillation"
# The kinds of preconditioning that each sampler takes, and that each recipe trains.
SAMPLERS: dict[str, tuple[str, ...]] = {
    "consistency": ("consistency",),
    "euler": ("edm", "ddpm"),
    "heun": ("edm", "ddpm"),
    "ancestral": ("ddpm", "edm"),
    "ddim": ("ddpm",),
    "dpm-solver++": ("ddpm", "edm"),
}
RECIPES: Mapping[str, tuple[str, ...]] = {
    "consistency": ("consistency",),
    "edm": ("edm",),
    DISTILLATION: ("consistency",),
}


def in_words(kinds: tuple[str, ...]) -> str:
    """Kinds as messages name them: 'edm' or 'ddpm'."""
    return " or ".join(map(repr, kinds))
