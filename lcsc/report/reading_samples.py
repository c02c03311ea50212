"""Reads the images that a report shows."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.files import read_or_refuse
from lcsc.report.records import REAL, Samples


def read_samples(path: Path, methods: Sequence[str]) -> Samples:
    """Read images that are shown, made by some of ``methods`` from the same noise, or :data:`REAL`."""

    def read() -> tuple[list[str], NDArray[np.uint8]]:
        try:
            with path.open("rb") as stream:
                content = np.load(stream, allow_pickle=False)
                if not isinstance(content, Mapping):
                    raise ValueError("one array, not a file of several")
                return [str(name) for name in content["names"]], np.asarray(content["images"])
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(str(error)) from error

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
