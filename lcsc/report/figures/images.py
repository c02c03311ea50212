"""Images of several methods made from the same noise, a row for each method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.report.drawing import Drawing
from lcsc.report.numbers import fixed
from lcsc.report.records import REAL, Column, Evaluation, Samples
from lcsc.report.style import INK, Look, brief, fit, new_figure
from lcsc.report.svg import png_bytes

NAME = "images"
ACROSS, LINES = 16, 2
GAP = 0.12  # between images, of an image's width


def draw(evaluation: Evaluation, samples: Samples, column: Column, looks: Mapping[str, Look]) -> Drawing:
    """The figure: up to 32 images of each method in the order of ``samples``."""
    rows = [sheet(images, ACROSS, LINES) for images in samples.images]
    height, width = rows[0].shape[:2]
    tall = 0.34 + 6.3 * height / width
    figure = new_figure(width=6.6, height=len(rows) * tall + 0.1)
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    shown = dict(zip(samples.names, rows, strict=True))
    for axes, (name, picture) in zip(panels, shown.items(), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
        axes.set_axis_off()
        axes.set_title(fit(_label(evaluation, name)), color=INK, fontsize=10, pad=4)
        if name != REAL:
            value = fixed(evaluation.method(name).columns[column.key].mean, evaluation.decimals)
            axes.set_title(f"{column.label}: {value}", loc="right", fontsize=9, pad=4, fontweight="normal")
        axes.plot(
            [-0.012, -0.012],
            [0, 1],
            color=looks[name].colour if name != REAL else INK,
            linewidth=3.5,
            transform=axes.transAxes,
            clip_on=False,
            solid_capstyle="butt",
        )
    labels = ", ".join(_label(evaluation, name) for name in samples.names)
    real = " The last row shows real images that nothing was trained on." if REAL in samples.names else ""
    count = min(samples.images.shape[1], ACROSS * LINES)
    return Drawing(
        name=NAME,
        title="Images from the same noise",
        alt=f"{count} images each of: {labels}; generated ones from the same noise at the same place.",
        caption=f"The same place in each block is the same noise. The first images, not chosen ones.{real}",
        png=png_bytes(figure),
    )


def _label(evaluation: Evaluation, name: str) -> str:
    return "Real held-out images" if name == REAL else brief(evaluation.method(name).label)


def sheet(images: NDArray[np.uint8], across: int, lines: int) -> NDArray[np.uint8]:
    """Images [n, C, H, W] as one picture, ``across`` in a line, with white gaps.

    Returns uint8 [height, width] for one channel and [height, width, 3] for three.
    """
    across = min(across, len(images))
    lines = min(lines, len(images) // across)
    channels, height, width = images.shape[1:]
    gap = max(1, round(GAP * width))
    picture: NDArray[Any] = np.full(
        (lines * (height + gap) - gap, across * (width + gap) - gap, channels), 255, dtype=np.uint8
    )
    for index in range(lines * across):
        top, left = (index // across) * (height + gap), (index % across) * (width + gap)
        picture[top : top + height, left : left + width] = images[index].transpose(1, 2, 0)
    return picture[:, :, 0] if channels == 1 else picture
