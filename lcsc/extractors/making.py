"""Extractor files of kinds whose weights come from elsewhere: nothing is trained, no image is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lcsc.errors import InputError, whole_reason_of
from lcsc.extractors import LOADERS, dinov2, efficientnet, inception, resizing, save_tensors, variants

Made = tuple[Mapping[str, torch.Tensor], dict[str, Any]]


def make_extractor(
    settings: Mapping[str, Any], output: Path | str, weights: Path | None = None, name: str | None = None
) -> None:
    """Write the extractor that the config's ``settings`` of one describe; the same settings give the same bytes.

    ``weights`` is the file of its weights, for a kind that needs one. The network is tried on an image, so that a file
    that does not hold it is refused here and not in the jobs that use it.
    """
    kind, output = settings["kind"], Path(output)
    if kind not in MAKERS:
        raise InputError(f"extractor: kind is {kind!r}, expected one of {', '.join(sorted(MAKERS))}")
    tensors, about = MAKERS[kind](settings, weights)
    about = {"kind": kind, "name": name or str(settings.get("name", output.stem)), "image_shape": None, **about}
    if settings.get("variant"):
        about["variant"] = dict(settings["variant"])
        variants.check(about, f"extractor {about['name']}")
    resizing.check(about, f"extractor {about['name']}")
    _try(tensors, about, weights or output)
    save_tensors(output, tensors, about)


def _try(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any], where: Path) -> None:
    """Features of a grey image must be there and finite."""
    module = LOADERS[about["kind"]](where, tensors, about, torch.device("cpu")).eval()
    try:
        with torch.inference_mode():
            features = module(torch.zeros(1, 3, 32, 32))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(
            f"extractor {about['name']}: cannot measure a grey image ({whole_reason_of(error)}); change "
            "its settings, such as `size`, to what the network takes"
        ) from error
    if tuple(features.shape) != (1, about["dimension"]) or not torch.isfinite(features).all():
        raise InputError(
            f"{where}: features of a grey image have shape {list(features.shape)} or are not finite, expected "
            f"{about['dimension']} finite numbers; give the weights of the network that kind {about['kind']} names"
        )


def _efficientnet(settings: Mapping[str, Any], weights: Path | None) -> Made:
    tensors, source = efficientnet.packaged_tensors()
    about = {
        "architecture": "EfficientNet-Lite0",
        "dimension": efficientnet.DIMENSION,
        "resize": {"size": settings["size"], "mode": settings["resize"]},
        "weights": source,
    }
    return tensors, about


MAKERS: dict[str, Callable[[Mapping[str, Any], Path | None], Made]] = {
    dinov2.KIND: dinov2.make,
    efficientnet.KIND: _efficientnet,
    inception.KIND: inception.make,
}
