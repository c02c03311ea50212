"""The two files of a data set.

A part is an ``.npz`` file with ``images`` (uint8, [N, C, H, W]), ``labels`` (int64, [N]), ``indices`` (int64,
[N], rows of the source) and ``about`` (JSON). It is written piece by piece and its images are mapped into memory
when it is read, so that neither needs memory for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lcsc.data.npz_files import mapped, read_arrays, write_arrays
from lcsc.errors import InputError
from lcsc.files import canonical_json, sha256_of
from lcsc.refusals import read_or_refuse

PartName = Literal["train", "held-out"]
PARTS: tuple[PartName, PartName] = ("train", "held-out")
FORMAT, FORMAT_VERSION = "lcsc-images", 1
WHAT = "a part of a data set"


@dataclass(frozen=True)
class Part:
    """Images of one part of a data set: uint8 [N, C, H, W], labels and rows of the source, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    part: PartName
    data_id: str
    sha256: str
    path: Path

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return self.images.shape[1:]


def write_part(
    path: Path,
    pieces: Iterable[NDArray[np.uint8]],
    labels: NDArray[np.int64],
    indices: NDArray[np.int64],
    image_shape: tuple[int, ...],
    about: Mapping[str, Any],
) -> None:
    """Write a part whose images, of ``image_shape`` (C, H, W), come in ``pieces``; ``about`` says what they are."""
    record = {**about, "format": FORMAT, "format_version": FORMAT_VERSION}
    arrays = {"labels": labels, "indices": indices, "about": np.array(canonical_json(record))}
    write_arrays(path, ("images", pieces, (len(labels), *image_shape)), arrays)


def load_part(path: Path | str) -> Part:
    """Read a file that :func:`write_part` wrote; :class:`InputError` where it is anything else."""
    path = Path(path)
    arrays = read_arrays(path, WHAT, but=("images",))
    missing = {"images", "labels", "indices", "about"} - arrays.keys()
    if missing:
        raise InputError(f"{path}: array {min(missing)!r} is missing; expected a file made by `lcsc data`")
    about = read_or_refuse(path, lambda: json.loads(str(arrays["about"].item())), what=WHAT)
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT or about.get("format_version") != FORMAT_VERSION or about.get("part") not in PARTS:
        raise InputError(
            f"{path}: found format {found!r}, expected {FORMAT!r} version {FORMAT_VERSION}; run `lcsc data`"
        )
    images, labels = checked(path, mapped(path, "images", WHAT), arrays["labels"])
    indices = arrays["indices"].astype(np.int64)
    if indices.shape != labels.shape:
        raise InputError(f"{path}: indices have shape {indices.shape}, expected {labels.shape}; run `lcsc data` again")
    return Part(images, labels, indices, about["part"], str(about["data"]), sha256_of(path), path)


def checked(path: Path, images: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and their labels as int64, where they are images of bytes [N, C, H, W] with whole numbers [N]."""
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise InputError(f"{path}: images are {images.dtype} {list(images.shape)}, expected uint8 [N, C, H, W]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected integers [{len(images)}]")
    return images, labels.astype(np.int64)


def require_training_part(part: Part, what: str) -> None:
    """Refuse held-out images where ``what`` (such as "training") must not see them."""
    if part.part != "train":
        raise InputError(
            f"{part.path}: found the {part.part} part of {part.data_id}, expected the train part; "
            f"{what} never sees held-out images, give train.npz"
        )
