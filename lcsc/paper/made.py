"""A figure as its maker hands it over: the picture, and the numbers that claims ask it for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcsc.report.drawing import Drawing

if TYPE_CHECKING:
    from lcsc.paper.measures import Number
    from lcsc.paper.points import Role

    # The number that a claim's ``measure`` asks for, by one extractor.
    Answer = Callable[[Mapping[str, Any], Role], Number]


@dataclass(frozen=True)
class Made:
    """A figure as SVG with its words and numbers, as PNG, and what answers the claims about it, where any can be."""

    drawing: Drawing
    png: bytes
    answer: Answer | None = None
