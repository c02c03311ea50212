"""Two pictures of the same noise that a page puts one over the other: the best EMA's and the best search's images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lcsc.report.figures.images import sheet
from lcsc.report.headline import BASE
from lcsc.report.numbers import fixed
from lcsc.report.records import Column, Evaluation, Samples
from lcsc.report.style import Look, brief

MOST_PIXELS = 220_000  # of a picture: what is left of large images keeps the page small
MOST_IMAGES = 32
COARSE = 48  # images narrower than this are enlarged without smoothing


@dataclass(frozen=True)
class Side:
    """One of two pictures: whose it is, what it shows in words, and its measure."""

    label: str
    words: str
    alt: str
    colour: str
    png: bytes


@dataclass(frozen=True)
class Pair:
    """Two pictures of one size in pixels; ``coarse`` ones are enlarged without smoothing."""

    left: Side
    right: Side
    width: int
    height: int
    coarse: bool


def make_pair(
    evaluation: Evaluation, samples: Samples, best: str, column: Column, looks: Mapping[str, Look]
) -> Pair | None:
    """The best EMA left and the search ``best`` right; None where the samples lack one of them."""
    if not {BASE, best} <= set(samples.names):
        return None
    width = samples.images.shape[-1]
    shown = {name: _sheet(samples.images[samples.names.index(name)]) for name in (BASE, best)}
    sides = [_side(evaluation, name, picture, column, looks[name]) for name, picture in shown.items()]
    height, across = shown[BASE].shape[:2]
    return Pair(sides[0], sides[1], across, height, width < COARSE)


def _sheet(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images [n, C, H, W] as one picture, about twice as wide as it is high."""
    count = min(len(images), MOST_IMAGES, max(2, MOST_PIXELS // (images.shape[-1] * images.shape[-2])))
    across = min(count, max(2, round((2 * count) ** 0.5)))
    return sheet(images[: count - count % across], across, count // across)


def _side(evaluation: Evaluation, name: str, picture: NDArray[np.uint8], column: Column, look: Look) -> Side:
    method = evaluation.method(name)
    label, value = brief(method.label), fixed(method.columns[column.key].mean, evaluation.decimals)
    words = f"{column.label}: {value}"
    return Side(label, words, f"Images of {label}, {words}.", look.colour, _png(picture))


def _png(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="png", optimize=True)
    return stream.getvalue()
