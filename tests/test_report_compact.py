"""Pictures in few bytes: outlines stand once in a page, names are its own, and nothing moves by what can be seen."""

import re
from xml.etree import ElementTree

import pytest

from lcsc.report.compact import Shelf, compact, compact_drawings
from lcsc.report.drawing import Drawing
from lcsc.report.style import new_figure, styled
from lcsc.report.svg import SVG, svg_text

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.fixture(scope="module")
def picture():
    """A figure with words, markers and clipped lines."""
    with styled():
        figure = new_figure(3, 2)
        axes = figure.subplots()
        axes.scatter(range(40), range(40), color="#d55e00", alpha=0.3)
        axes.plot([0, 40], [3, 60], "o-", label="Evaluations")
        axes.set_ylim(0, 30)
        axes.legend()
        return svg_text(figure, "one", "Words for those who do not see it.")


def names_and_calls(text):
    ids = re.findall(r'\bid="([^"]+)"', text)
    calls = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r' href="#([^"]+)"', text)
    return ids, calls


def test_names_are_the_page_s_own_and_all_calls_are_answered(picture):
    shelf = Shelf()
    both = compact(picture, shelf) + compact(picture, shelf)
    ids, calls = names_and_calls(both + shelf.svg())
    assert len(ids) == len(set(ids))
    assert set(calls) <= set(ids)
    assert len(calls) > 80
    assert both.count('aria-label="Words for those who do not see it."') == 2
    assert both.count('role="img"') == 2


def test_outlines_stand_once_whatever_calls_them(picture):
    shelf = Shelf()
    first = compact(picture, shelf)
    once = shelf.svg()
    compact(picture.replace("one-", "two-"), shelf)
    assert shelf.svg() == once
    defined = [
        path
        for defs in ElementTree.fromstring(picture).iter(f"{{{SVG}}}defs")
        for path in defs.findall(f"{{{SVG}}}path")
    ]
    assert once.count("<path") == len(defined) > 10
    assert len(first) + len(once) < 0.6 * len(picture)


def places(text):
    """Where everything that is called stands, and every line goes."""
    root = ElementTree.fromstring(text)
    calls = [e.attrib for e in root.iter(f"{{{SVG}}}use")]
    words = [each.get("x", "") + " " + each.get("y", "") + " " + each.get("transform", "") for each in calls]
    words += [e.attrib["d"] for e in root.iter(f"{{{SVG}}}path") if "clip-path" in e.attrib]
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", " ".join(words))]


def test_nothing_moves_by_more_than_a_hundredth_of_a_point(picture):
    before, after = places(picture), places(compact(picture, Shelf()))
    assert len(before) > 100
    assert after == pytest.approx(before, abs=0.0051)


def test_scales_keep_their_digits_and_the_sheet_of_styles_goes_to_the_picture(picture):
    found = compact(picture, Shelf())
    scales = re.findall(r"scale\([^)]*\)", picture)
    assert set(re.findall(r"scale\([^)]*\)", found)) <= set(scales)
    assert "<style" not in found
    assert 'stroke-linejoin="round"' in found


def test_one_style_of_all_marks_is_the_group_s_unless_it_is_not_inherited():
    group = '<g><use style="{0}" x="1"/><use style="{0}" x="2"/></g>'
    text = HEAD + group.format("fill: #d55e00") + group.format("opacity: 0.5") + "</svg>"
    found = compact(text, Shelf())
    assert found.count("fill:#d55e00") == 1
    assert found.count("opacity:0.5") == 2


def test_drawings_without_a_picture_of_their_own_stay_as_they_are(picture):
    drawings = {"a": Drawing("a", "A", "", "", svg=picture), "b": Drawing("b", "B", "", "", png=b"png")}
    found, outlines = compact_drawings(drawings)
    assert found["b"] == drawings["b"]
    assert len(found["a"].svg) < len(picture)
    assert outlines.startswith("<svg")
    assert compact_drawings({"b": drawings["b"]}) == ({"b": drawings["b"]}, "")
