"""Real images → features → statistics: the reference that distances are measured against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.data import Part, load_part, to_float
from lcsc.errors import InputError
from lcsc.extractors import Extractor, load_extractor
from lcsc.extractors.variants import deviation
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.metrics.reference_file import write_reference
from lcsc.progress import logger

CHUNK = 512


def real_features(extractor: Extractor, images: NDArray[np.uint8], device: torch.device) -> NDArray[np.float32]:
    """Features [N, D] of uint8 ``images`` [N, C, H, W], in fixed chunks."""
    return np.concatenate(
        [
            float_features(extractor, np.asarray(to_float(images[start : start + CHUNK])), device)
            for start in range(0, len(images), CHUNK)
        ]
    )


def float_features(extractor: Extractor, images: NDArray[np.float32], device: torch.device) -> NDArray[np.float32]:
    """Features [N, D] of ``images`` [N, C, H, W] in [-1, 1], in fixed chunks."""
    with torch.inference_mode():
        parts = [
            extractor(torch.as_tensor(images[start : start + CHUNK]).to(device)).float().cpu().numpy()
            for start in range(0, len(images), CHUNK)
        ]
    return np.concatenate(parts)


def build_reference(images: Path, extractor_path: Path, output: Path, device: torch.device) -> None:
    """Write the statistics of the images in ``images`` to ``output``."""
    part: Part = load_part(images)
    extractor = load_extractor(extractor_path, device)
    features = real_features(extractor, part.images, device)
    if not np.isfinite(features).all():
        raise InputError(f"{images}: extractor '{extractor.name}' makes features that are not finite; train it again")
    about = {
        "data": part.data_id,
        "part": part.part,
        "extractor": extractor.name,
        "extractor_sha256": extractor.identity,
        "resize": extractor.resize_mode,
    }
    if extractor.about.get("variant"):
        exact = load_extractor(extractor_path, device, exact=True)
        about |= deviation(features, real_features(exact, part.images, device))
        logger.info("%s differs from the exact extractor by %s of the features' spread, %s of the distance",
                    extractor.words, about["variant_features"], about["variant_distance"])  # fmt: skip
    write_reference(output, Reference.of(feature_statistics(features)), about)
