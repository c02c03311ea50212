"""Reads the images that a report shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcsc.data.npz_files import read_arrays
from lcsc.errors import InputError
from lcsc.refusals import read_or_refuse
from lcsc.report.records import REAL, Samples


def read_samples(path: Path, methods: Sequence[str]) -> Samples:
    """Read images that are shown, made by some of ``methods`` from the same noise, or :data:`REAL`."""

    def read() -> tuple[list[str], NDArray[np.uint8]]:
        content = read_arrays(path, "samples of lcsc evaluate")
        return [str(name) for name in content["names"]], content["images"]

    names, images = read_or_refuse(path, read, what="samples of lcsc evaluate")
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[2] not in (1, 3) or not images.size:
        raise InputError(
            f"{path}: images: found {images.dtype} {list(images.shape)}, "
            "expected uint8 [methods, n, 1 or 3, height, width]; run lcsc evaluate again"
        )
    strangers = [name for name in names if name not in (*methods, REAL)]
    if strangers or len(names) != len(images):
        raise InputError(
            f"{path}: names: found {names} for {len(images)} rows of images, expected names out of "
            f"{list(methods)}; give the samples of the same evaluation"
        )
    return Samples(tuple(names), images)
