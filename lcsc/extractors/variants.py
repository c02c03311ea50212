"""Faster variants of an extractor, for searches only: bfloat16, compiled. What that changes is measured.

A distance by bfloat16 features can be off by per cent, so no variant may choose or judge: the configuration's checks
refuse it, and the statistics of its reference record how far it is from the exact extractor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lcsc.errors import InputError
from lcsc.metrics.frechet import Reference, feature_statistics, frechet_distance

DTYPES = ("float32", "bfloat16")


class Variant(nn.Module):
    """``body`` in bfloat16 where that is safe (PyTorch's autocast), compiled or both; features come as float32."""

    def __init__(self, body: nn.Module, dtype: str, compiled: bool) -> None:
        super().__init__()
        self.reduced = dtype == "bfloat16"
        self.body = _compiled(body) if compiled else body

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features float32 [B, D]."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.reduced):
            features: torch.Tensor = self.body(images)
        return features.float()


def _compiled(body: nn.Module) -> Any:
    """``body`` compiled, deterministically where this PyTorch's compiler can be told so."""
    from torch import _inductor

    known = "deterministic" in _inductor.list_options()
    return torch.compile(body, dynamic=False, options={"deterministic": True} if known else None)


def attach(body: nn.Module, about: Mapping[str, Any]) -> nn.Module:
    """``body`` as the ``variant`` of the extractor's metadata has it; itself where there is none."""
    found = about.get("variant")
    return Variant(body, found["dtype"], found["compile"]) if found else body


def check(about: Mapping[str, Any], where: str) -> None:
    """Refuse a ``variant`` in an extractor's metadata that is none."""
    found = about.get("variant")
    if found is None:
        return
    dtype, compiled = (found.get(key) if isinstance(found, dict) else None for key in ("dtype", "compile"))
    if dtype not in DTYPES or not isinstance(compiled, bool):
        raise InputError(
            f"{where}: variant is {found!r}, expected a 'dtype' of {', '.join(DTYPES)} and 'compile' true or false; "
            "write the extractor again"
        )


def deviation(features: NDArray[np.float32], exact: NDArray[np.float32]) -> dict[str, str]:
    """How far a variant's ``features`` [N, D] are from the ``exact`` ones of the same images, as text for records.

    Of the features, the root mean square difference over their standard deviation; of the Fréchet distance, the
    relative difference between the first half of the images and the second.
    """
    if len(exact) < 4:
        raise InputError(f"variant: found {len(exact)} images to measure its deviation on, expected 4 or more")
    spread = float(np.sqrt(exact.astype(np.float64).var(axis=0).mean()))
    rms = float(np.sqrt(np.square(features.astype(np.float64) - exact).mean()))
    distances = [_halves(found) for found in (features, exact)]
    return {
        "variant_features": f"{rms / spread:.2e}" if spread else "0",
        "variant_distance": f"{abs(distances[0] / distances[1] - 1):.2e}",
    }


def _halves(features: NDArray[np.float32]) -> float:
    """The Fréchet distance between the first and the second half of ``features``."""
    half = len(features) // 2
    return frechet_distance(features[:half], Reference.of(feature_statistics(features[half:])))
