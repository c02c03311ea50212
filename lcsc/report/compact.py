"""SVGs made small for one page: what they draw again and again stands there once, in few digits and short names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from lcsc.report.drawing import Drawing
from lcsc.report.svg import SVG, XLINK

DECIMALS = 2  # of a point, 1/72 inch: finer than any screen or print shows
_GEOMETRY = ("d", "points", "x", "y", "width", "height")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_TRANSLATION = re.compile(r"(?<=translate\()[^)]*")
_CALL = re.compile(r"(?<=url\(#)[^)]*")
_NOT_INHERITED = re.compile(r"(^|;)(opacity|clip|filter|mask)")
_HREF = f"{{{XLINK}}}href"


class Shelf:
    """Outlines of letters and markers, which all pictures of a page share under short names."""

    def __init__(self) -> None:
        self._names: dict[tuple[tuple[str, str], ...], str] = {}
        self._given = 0

    def name_of(self, path: Element) -> str:
        """The name of ``path``'s outline, which is put here where it is new."""
        return self._names.setdefault(_outline(path), f"o{len(self._names)}")

    def new_name(self) -> str:
        """A name that nothing else in the page has."""
        self._given += 1
        return f"n{self._given}"

    def svg(self) -> str:
        """An SVG that shows nothing and defines all outlines; empty where there are none."""
        if not self._names:
            return ""
        root = Element(f"{{{SVG}}}svg", {"width": "0", "height": "0", "class": "hidden", "aria-hidden": "true"})
        defined = ElementTree.SubElement(root, f"{{{SVG}}}defs")
        for outline, name in self._names.items():
            ElementTree.SubElement(defined, f"{{{SVG}}}path", {"id": name, **dict(outline)})
        return _text(root)


def compact(svg: str, shelf: Shelf) -> str:
    """``svg`` for a page that holds ``shelf``, too; it looks the same."""
    root = ElementTree.fromstring(svg)
    _take_style(root)
    names = dict(_shelved(root, shelf))
    for element in root.iter():
        _shorten(element)
        _point_to(element, names)
    for element in root.iter():
        _lift_style(element)
    _rename(root, shelf)
    return _text(root)


def compact_drawings(drawings: Mapping[str, Drawing]) -> tuple[dict[str, Drawing], str]:
    """The drawings of a page with compact pictures, and the SVG that defines their outlines, which stands before."""
    shelf = Shelf()
    found = {
        name: replace(drawing, svg=compact(drawing.svg, shelf)) if drawing.svg else drawing
        for name, drawing in drawings.items()
    }
    return found, shelf.svg()


def _outline(path: Element) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in path.attrib.items() if key != "id")


def _take_style(root: Element) -> None:
    """Say what matplotlib's style sheet says by an attribute: in a page, the sheet would be that of all elements."""
    for parent in list(root.iter()):
        for style in parent.findall(f"{{{SVG}}}style"):
            parent.remove(style)
            root.set("stroke-linejoin", "round")


def _shelved(root: Element, shelf: Shelf) -> Iterator[tuple[str, str]]:
    """Move outlines to the shelf: their old and new names."""
    for parent in list(root.iter()):
        for definitions in parent.findall(f"{{{SVG}}}defs"):
            for path in definitions.findall(f"{{{SVG}}}path"):
                _shorten(path)
                yield path.attrib["id"], shelf.name_of(path)
                definitions.remove(path)
            if not len(definitions):
                parent.remove(definitions)


def _shorten(element: Element) -> None:
    for key in _GEOMETRY:
        if key in element.attrib:
            element.set(key, _rounded(element.attrib[key]))
    if "transform" in element.attrib:  # a scale keeps its digits: they are multiplied
        element.set("transform", _TRANSLATION.sub(lambda found: _rounded(found[0]), element.attrib["transform"]))
    if "style" in element.attrib:
        element.set("style", element.attrib["style"].replace(": ", ":").replace("; ", ";"))
    for key in ("text", "tail"):
        if not (getattr(element, key) or "").strip():
            setattr(element, key, None)


def _rounded(text: str) -> str:
    """Numbers with few decimals and single spaces between."""
    rounded = _NUMBER.sub(lambda found: f"{round(float(found[0]), DECIMALS) + 0:g}", text)
    return " ".join(rounded.split())


def _point_to(element: Element, names: dict[str, str]) -> None:
    if _HREF in element.attrib:
        target = element.attrib.pop(_HREF)
        name = names.get(target.removeprefix("#"))
        element.set("href", target if name is None else f"#{name}")


def _lift_style(group: Element) -> None:
    """Where all marks of a group have one style, it is the group's."""
    styles = {child.attrib.get("style") for child in group}
    style = next(iter(styles), None)
    if len(group) < 2 or len(styles) != 1 or style is None or "style" in group.attrib:
        return
    if _NOT_INHERITED.search(style):
        return
    group.set("style", style)
    for child in group:
        del child.attrib["style"]


def _rename(root: Element, shelf: Shelf) -> None:
    """Short names, of the page alone, for what the picture calls by name; what nothing calls has none."""
    called = {name for element in root.iter() for value in element.attrib.values() for name in _CALL.findall(value)}
    names = {name: shelf.new_name() for name in sorted(called)}
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if name in names:
            element.set("id", names[name])
        for key, value in element.attrib.items():
            element.set(key, _CALL.sub(lambda found: names[found[0]], value))


def _text(root: Element) -> str:
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")
