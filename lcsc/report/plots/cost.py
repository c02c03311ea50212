"""The plot of the cost: seconds of each step."""

from __future__ import annotations

from collections.abc import Sequence

from lcsc.report.drawing import Plot
from lcsc.report.plots import brief_number


def plot(steps: Sequence[tuple[str, float, str, str, str]]) -> Plot:
    """``steps``: name, seconds, these in words, all in words, colour."""
    rows = [
        {"label": label, "seconds": brief_number(seconds), "time": time, "words": words, "colour": colour}
        for label, seconds, time, words, colour in steps
    ]
    return Plot("cost", {"steps": rows})
