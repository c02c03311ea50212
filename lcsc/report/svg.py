"""Figures as files: SVG with stable ids and tooltips, PNG without dates."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"


def svg_text(figure: Figure, name: str, description: str, tips: Mapping[str, str] | None = None) -> str:
    """``figure`` as an SVG element, the same bytes each time.

    All ids start with ``name``, so that several figures can stand in one page. ``description`` is what a
    screen reader says. ``tips`` gives the artists whose gid is a key a tooltip: an SVG ``title``, so that it
    works in the bare file too.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(stream.getvalue())
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _add_tip(element, tips or {})
        _prefix_ids(element, name)
    root.set("role", "img")
    root.set("aria-label", description)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_tip(element: ElementTree.Element, tips: Mapping[str, str]) -> None:
    tip = tips.get(element.get("id", ""))
    if tip is not None:
        title = ElementTree.Element(f"{{{SVG}}}title")
        title.text = tip
        element.insert(0, title)
        element.set("class", "tip")
        # An area without fill catches the pointer only where it is told to.
        element.set("pointer-events", "all")


def _prefix_ids(element: ElementTree.Element, name: str) -> None:
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == f"{{{XLINK}}}href" and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{name}-"))


def png_bytes(figure: Figure) -> bytes:
    """``figure`` as PNG, without the date and the version of what drew it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
