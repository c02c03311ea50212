"""Extractors: images to features.

An extractor is a safetensors file whose metadata says what it is; its identity is the file's sha256. A new
kind is a loader and an entry of :data:`LOADERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError, whole_reason_of
from lcsc.extractors import classifier, dinov2, efficientnet, inception, pixels, resizing, variants
from lcsc.extractors.parts import InParts
from lcsc.files import canonical_json, sha256_of

FORMAT, FORMAT_VERSION = "lcsc-extractor", 1
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Extractor:
    """A frozen module, images [B, C, H, W] in [-1, 1] to features [B, dimension]; threads may share it.

    ``image_shape`` is None for one that resizes images of one or three channels and any size.
    """

    name: str
    dimension: int
    image_shape: tuple[int, ...] | None
    identity: str
    module: nn.Module
    device: torch.device
    about: Mapping[str, Any]

    @property
    def differentiable(self) -> bool:
        """Whether features have gradients in the images, as a gradient search needs."""
        return resizing.differentiable(self.about)

    @property
    def class_weights(self) -> torch.Tensor | None:
        """The weights [classes, D] that make class scores of features, where the extractor has them (Inception)."""
        found = (getattr(module, "class_weights", None) for module in self.module.modules())
        return next((weights for weights in found if weights is not None), None)

    @property
    def resize_mode(self) -> str:
        """How images are resized before it; ``none`` where they are not."""
        return str((self.about.get("resize") or {"mode": "none"})["mode"])

    @property
    def words(self) -> str:
        """The name for people; what its features are stands behind it where that is more than a body's."""
        if found := self.about.get("variant"):
            return f"{self.name}: {found['dtype']}{', compiled' if found['compile'] else ''}"
        return f"{self.name}: {self.about['architecture']} + pixels" if self.about.get("pixels") else self.name

    @property
    def facts(self) -> str:
        """Network, dimension, input size, resizing and hashes in a sentence."""
        about, weights = self.about, self.about.get("weights")
        resize = about.get("resize")
        shape = "×".join(map(str, self.image_shape)) if self.image_shape else "any size"
        seen = f"resized to {resize['size']} pixels ({resize['mode']})" if resize else f"as they are ({shape})"
        source = f", weights {weights['file']} with sha256 {weights['sha256'][:12]}" if weights else ""
        return (
            f"Extractor {self.name}: {self.dimension:,} features by {about.get('architecture', about['kind'])} of "
            f"images {seen}{source}; its file has sha256 {self.identity[:12]}."
        )

    @property
    def measured(self) -> dict[str, str]:
        """What records add where its Fréchet distance is not called FD: ``measure``, such as "FID (clean)"."""
        return {"measure": str(self.about["measure"])} if "measure" in self.about else {}

    @property
    def record(self) -> dict[str, str]:
        """What records of a search name as the extractor whose distance it lowered."""
        return {"name": self.name, "words": self.words, "sha256": self.identity, **self.measured}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Features float32 [B, dimension] of ``images``, differentiable with respect to them."""
        shape = tuple(images.shape[1:])
        if shape != self.image_shape and (self.image_shape is not None or shape[0] not in (1, 3)):
            expected = "one or three channels" if self.image_shape is None else list(self.image_shape)
            raise InputError(
                f"extractor {self.name}: found images of shape {list(shape)}, expected {expected}; use an extractor "
                "made for these images"
            )
        features: torch.Tensor = self.module(images.to(self.device, torch.float32))
        return features


def save_extractor(path: Path | str, body: nn.Module, about: Mapping[str, Any]) -> None:
    """Write a trained body and what it is (kind, name, architecture, dimension, image_shape ...).

    ``pixels`` in ``about`` makes them features, too (:mod:`lcsc.extractors.pixels`); ``dimension`` is the body's.
    ``resize`` has images resized before (:mod:`lcsc.extractors.resizing`).
    """
    save_tensors(path, body.state_dict(), about)


def save_tensors(path: Path | str, tensors: Tensors, about: Mapping[str, Any]) -> None:
    """The same for a body's ``tensors``."""
    record = {"format": FORMAT, "format_version": FORMAT_VERSION, **about}
    SafetensorsFormat().write(Path(path), dict(tensors), {"about": canonical_json(record)})


def load_extractor(path: Path | str, device: torch.device | str = "cpu", *, exact: bool = False) -> Extractor:
    """Read an extractor file; :class:`InputError` where it is anything else. ``exact`` leaves its variant out."""
    path = Path(path)
    stored = SafetensorsFormat().read(path)
    about = _about(path, stored.metadata)
    if exact:
        about.pop("variant", None)
    module = LOADERS[about["kind"]](path, stored.tensors, about, torch.device(device))
    return Extractor(
        name=str(about["name"]),
        dimension=pixels.dimension(about),
        image_shape=None if about["image_shape"] is None else tuple(about["image_shape"]),
        identity=sha256_of(path),
        module=module.to(device).eval().requires_grad_(False),
        device=torch.device(device),
        about=about,
    )


def _about(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        about = json.loads(metadata.get("about", "{}"))
    except ValueError:
        about = {}
    if not isinstance(about, dict) or about.get("format") != FORMAT or about.get("format_version") != FORMAT_VERSION:
        found = about.get("format") if isinstance(about, dict) else None
        raise InputError(
            f"{path}: found format {found!r}, expected {FORMAT!r} version {FORMAT_VERSION}; "
            "give a file made by `lcsc extractor`"
        )
    missing = {"kind", "name", "dimension", "image_shape"} - about.keys()
    if missing:
        raise InputError(f"{path}: metadata has no {min(missing)!r}; train the extractor again")
    if about["kind"] not in LOADERS:
        raise InputError(f"{path}: kind is {about['kind']!r}, expected one of {', '.join(sorted(LOADERS))}")
    pixels.check(about, str(path))
    resizing.check(about, str(path))
    variants.check(about, str(path))
    return about


def _load_classifier(path: Path, tensors: Tensors, about: Mapping[str, Any], device: torch.device) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        body = classifier.build_body(
            str(about.get("architecture")),
            resizing.body_shape(about),
            int(about["dimension"]),
            about.get("stages"),
            about.get("width"),
        )
    with _fitting(path, f"{about['architecture']} body"):
        body.load_state_dict(dict(tensors))
    return pixels.attach(resizing.attach(body, about), about)


def _load_efficientnet(path: Path, tensors: Tensors, about: Mapping[str, Any], device: torch.device) -> nn.Module:
    with _fitting(path, "network of EfficientNet-Lite0"):
        body = variants.attach(efficientnet.load_body(tensors), about)
    return _in_parts(resizing.attach(body, about), about)


def _load_inception(path: Path, tensors: Tensors, about: Mapping[str, Any], device: torch.device) -> nn.Module:
    with _fitting(path, f"network of Inception, {about.get('mode')}"):
        return _in_parts(inception.load_body(tensors, about, device), about)


def _load_dinov2(path: Path, tensors: Tensors, about: Mapping[str, Any], device: torch.device) -> nn.Module:
    with _fitting(path, f"network of {about.get('architecture')}"):
        body = variants.attach(dinov2.load_body(tensors, about), about)
    return _in_parts(resizing.attach(body, about), about)


def _in_parts(module: nn.Module, about: Mapping[str, Any]) -> nn.Module:
    return InParts(module, int(about["resize"]["size"]))


@contextmanager
def _fitting(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: does not hold a {what} ({whole_reason_of(error)}); make it again") from error


LOADERS: dict[str, Callable[[Path, Tensors, Mapping[str, Any], torch.device], nn.Module]] = {
    classifier.KIND: _load_classifier,
    dinov2.KIND: _load_dinov2,
    efficientnet.KIND: _load_efficientnet,
    inception.KIND: _load_inception,
}
