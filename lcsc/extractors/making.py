"""Extractor files of kinds whose weights come from elsewhere: nothing is trained, no image is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lcsc.errors import InputError
from lcsc.extractors import efficientnet, resizing, save_tensors


def make_extractor(settings: Mapping[str, Any], output: Path | str, name: str | None = None) -> None:
    """Write the extractor that the config's ``settings`` of one describe; the same settings give the same bytes."""
    kind = settings["kind"]
    if kind not in MAKERS:
        raise InputError(f"extractor: kind is {kind!r}, expected one of {', '.join(sorted(MAKERS))}")
    MAKERS[kind](settings, Path(output), name or str(settings.get("name", Path(output).stem)))


def _efficientnet(settings: Mapping[str, Any], output: Path, name: str) -> None:
    about: dict[str, Any] = {
        "kind": efficientnet.KIND,
        "name": name,
        "architecture": "EfficientNet-Lite0",
        "dimension": efficientnet.DIMENSION,
        "image_shape": None,
        "resize": {"size": settings["size"], "mode": settings["resize"]},
    }
    resizing.check(about, f"extractor {name}")
    tensors, about["weights"] = efficientnet.packaged_tensors()
    save_tensors(output, tensors, about)


MAKERS: dict[str, Callable[[Mapping[str, Any], Path, str], None]] = {efficientnet.KIND: _efficientnet}
