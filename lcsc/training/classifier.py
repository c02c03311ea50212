"""Training of a classifier whose body becomes an extractor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lcsc.data import Part, require_training_part, to_float
from lcsc.errors import InputError
from lcsc.extractors import pixels, save_extractor
from lcsc.extractors.classifier import KIND, build_body
from lcsc.progress import Progress
from lcsc.seeds import torch_seed

# Streams of random numbers under the seed, apart from those of other trainings.
INITIAL_WEIGHTS, BATCHES = 10, 11


def train_extractor(
    settings: Mapping[str, Any],
    part: Part,
    output: Path | str,
    name: str | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Train a classifier of ``part``'s labels by the config's settings of one extractor; keep its body.

    With ``pixels`` in the settings these are features, too, with a scale that ``part`` fixes; the body is the same as
    without. ``part`` must hold training images; ``name`` is the extractor's, else settings' or the file's. The same
    settings and images give the same bytes.
    """
    require_training_part(part, "an extractor")
    _check(settings)
    output = Path(output)
    classes, targets = np.unique(part.labels, return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"{part.path}: found {len(classes)} label, expected two or more to train a classifier on; take an "
            "extractor that needs no labels, such as `kind: efficientnet_lite0`"
        )
    size = {key: int(settings[key]) for key in ("stages", "width") if settings.get(key) is not None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed("training", int(settings["seed"]), INITIAL_WEIGHTS))
        body = build_body(str(settings["architecture"]), part.image_shape, int(settings["dimension"]), **size)
        head = nn.Sequential(nn.ReLU(), nn.Linear(int(settings["dimension"]), len(classes)))
    images = torch.from_numpy(to_float(part.images)).to(device)
    name = name or str(settings.get("name", output.stem))
    _optimise(body.to(device), head.to(device), images, torch.from_numpy(targets).to(device), settings, name)
    about: dict[str, Any] = {
        "kind": KIND,
        "name": name,
        "architecture": settings["architecture"],
        **size,
        "dimension": int(settings["dimension"]),
        "image_shape": list(part.image_shape),
        "settings": dict(settings),
        "data": {"id": part.data_id, "part": part.part, "sha256": part.sha256},
    }
    if settings.get("pixels"):
        about["pixels"] = pixels.scaled(body.eval(), images, settings["pixels"])
    save_extractor(output, body, about)


def _optimise(
    body: nn.Module,
    head: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    settings: Mapping[str, Any],
    name: str,
) -> None:
    """Adam on the cross-entropy of images with a little noise, which keeps features smooth off the data."""
    parameters = [*body.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, float(settings["learning_rate"]), foreach=True)
    generator = torch.Generator().manual_seed(torch_seed("training", int(settings["seed"]), BATCHES))
    steps, batch, noise = int(settings["steps"]), int(settings["batch"]), float(settings["noise"])
    progress = Progress(f"extractor {name}", steps)
    for _ in range(steps):
        rows = torch.randint(len(images), (batch,), generator=generator)
        shaken = torch.randn((batch, *images.shape[1:]), generator=generator) * noise
        rows = rows.to(images.device)
        scores = head(body(images[rows] + shaken.to(images.device)))
        loss = nn.functional.cross_entropy(scores, targets[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        progress.advance()


def _check(settings: Mapping[str, Any]) -> None:
    if settings["kind"] != KIND:
        raise InputError(f"extractor: kind is {settings['kind']!r}, expected {KIND!r} for one that is trained here")
    for key in ("steps", "batch"):
        if int(settings[key]) < 1:
            raise InputError(f"extractor: {key} is {settings[key]}, expected 1 or more")
    if not float(settings["learning_rate"]) > 0 or float(settings["noise"]) < 0:
        raise InputError(
            f"extractor: learning_rate {settings['learning_rate']}, noise {settings['noise']}; expected a "
            "positive learning rate and no negative noise"
        )
