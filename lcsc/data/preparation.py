"""From a source of images to the two files of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data import area
from lcsc.data.parts import PARTS, write_part
from lcsc.data.source import Source
from lcsc.data.sources import open_held_out, open_source
from lcsc.errors import InputError
from lcsc.seeds import generator

# Images that are in memory at once.
ROWS = 1024


def prepare(settings: Mapping[str, Any], output: Path | str, data_id: str | None = None) -> None:
    """Make the two files of the images of ``settings`` (source, path, held_out, seed, size ...) in ``output``.

    ``data_id`` names the data set in both; it is the folder's name where none is given. The same settings
    give the same bytes.
    """
    output = Path(output)
    size = settings.get("size")
    resize = {"resize": {"size": size, "filter": area.NAME}} if size else {}
    for name, (source, rows) in zip(PARTS, _parts(settings), strict=True):
        about = {"data": data_id or output.name, "part": name, **resize}
        pieces = (source.read(rows[start : start + ROWS]) for start in range(0, len(rows), ROWS))
        write_part(output / f"{name}.npz", pieces, source.labels[rows], rows, source.image_shape, about)


def _parts(settings: Mapping[str, Any]) -> list[tuple[Source, NDArray[np.int64]]]:
    """The source and the rows of the training images, and of the held-out ones."""
    source, held_out = open_source(settings), open_held_out(settings)
    if held_out is None:
        count = settings["held_out"]
        if not isinstance(count, int) or isinstance(count, bool):
            raise InputError(f"data: held_out is {count!r}, expected a number of images, or held_out_path")
        return [(source, rows) for rows in split(source.labels, count, int(settings["seed"]))]
    for what in ("image_shape", "classes"):
        found, expected = getattr(held_out, what), getattr(source, what)
        if found != expected:
            raise InputError(
                f"{settings.get('held_out_path') or settings['path']}: held-out images have {_words(what, found)}, "
                f"expected {_words(what, expected)} as the training images; give images of one data set, or data.size"
            )
    return [(part, np.arange(len(part.labels), dtype=np.int64)) for part in (source, held_out)]


def _words(what: str, value: Sequence[Any] | None) -> str:
    if what == "image_shape":
        return f"the shape {list(value or ())}"
    return f"{len(value)} classes ({value[0]} to {value[-1]})" if value else "no sub-folders as classes"


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
