"""From a source of images to the two files of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data import area
from lcsc.data.parts import PARTS, write_part
from lcsc.data.sources import Source, open_source
from lcsc.errors import InputError
from lcsc.seeds import generator

# Images that are in memory at once.
ROWS = 1024


def prepare(settings: Mapping[str, Any], output: Path | str, data_id: str | None = None) -> None:
    """Split the images of ``settings`` (source, held_out, seed, path, size) into two files in folder ``output``.

    ``data_id`` names the data set in both; it is the folder's name where none is given. The same settings
    give the same bytes.
    """
    output = Path(output)
    source = open_source(settings)
    size = settings.get("size")
    resize = {"resize": {"size": size, "filter": area.NAME}} if size else {}
    shape = source.image_shape if not size else (source.image_shape[0], size, size)
    parts = split(source.labels, int(settings["held_out"]), int(settings["seed"]))
    for part, rows in zip(PARTS, parts, strict=True):
        about = {"data": data_id or output.name, "part": part, **resize}
        write_part(output / f"{part}.npz", _pieces(source, rows, size), source.labels[rows], rows, shape, about)


def _pieces(source: Source, rows: NDArray[np.int64], size: int | None) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(rows), ROWS):
        images = source.read(rows[start : start + ROWS])
        yield area.smaller(images, size) if size else images


def split(labels: NDArray[np.int64], held_out: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the training and of the held-out images, ascending, stratified by label.

    Each label gets its share of ``held_out``, the rounding going to the largest remainders (the smaller label
    where two are equal). Raises :class:`InputError` where a part would have no image of some label.
    """
    names, counts = np.unique(labels, return_counts=True)
    if not 0 < held_out < len(labels):
        raise InputError(f"data: held_out is {held_out}, expected 1 to {len(labels) - 1} of {len(labels)} images")
    # Integers: a remainder that floating point rounds would move an image from one label to another.
    quota, remainder = np.divmod(counts * held_out, len(labels))
    quota[np.argsort(-remainder, kind="stable")[: held_out - quota.sum()]] += 1
    for name, count, chosen in zip(names, counts, quota, strict=True):
        if not 0 < chosen < count:
            raise InputError(
                f"data: label {name} has {count} images, too few for a share of held_out = {held_out} of "
                f"{len(labels)}; both parts need images of each label, change held_out"
            )
    rng = generator("data", seed)
    chosen_rows = [
        rng.permutation(np.flatnonzero(labels == name))[:chosen] for name, chosen in zip(names, quota, strict=True)
    ]
    held = np.sort(np.concatenate(chosen_rows))
    return np.setdiff1d(np.arange(len(labels), dtype=np.int64), held), held.astype(np.int64)
