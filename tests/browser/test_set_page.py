"""The page of a set of runs in Chromium: its plots, the table of claims, a phone's width, dark mode, and axe."""

import json
from pathlib import Path

import pytest
from report_records import make_run, write_landscape
from test_paper import CLAIM, RUNS, SPEC

from lcsc.cli import main

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of claims, figures over four runs and a landscape; it takes the place of the report of one."""
    folder = tmp_path_factory.mktemp("set")
    for run, about in RUNS.items():
        make_run(folder / run, run=run, factor=1000 / about["steps"])
    first = next(iter(RUNS))
    write_landscape(folder / first, run=first)
    planes = {"kind": "landscape", "title": "Planes", "landscapes": [[first, "raw"]], "methods": None}
    figures = {"cost": SPEC, "again": {**SPEC, "title": "<b>Again</b>"}, "planes": planes}
    settings = json.dumps({"figures": figures, "claims": [CLAIM], "runs": RUNS})
    assert main(["figures", "--settings", settings, "--results", str(folder), "--output", str(folder / "figures")]) == 0
    return folder / "figures" / "report.html"


def test_every_figure_is_drawn_and_names_are_text(opened):
    page = opened()
    assert page.locator("[data-plot='lines'].is-live .stage svg").count() == 2 * 2  # figures, extractors
    assert "<b>Again</b>" in page.locator("#figure-again h2").inner_text()
    assert page.locator(".claims tbody tr").count() == 1
    assert page.locator("#result .still svg").bounding_box()["width"] > 300


def test_keys_read_the_values_and_the_legend_hides_a_method(opened):
    page = opened()
    stage = page.locator("#figure-cost .stage")
    dots = stage.locator("svg").first.locator("[aria-label='dot'] circle")
    before = dots.count()
    stage.focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("#figure-cost [role='status']").inner_text()
    assert "Training steps: 1,000" in said
    page.locator("#figure-cost .legend button").first.click()
    assert dots.count() == before - 2  # two points of one method


def test_a_landscape_is_drawn_and_keys_read_its_marks(opened):
    page = opened()
    figure = page.locator("#figure-planes [data-plot='landscape'].is-live")
    assert figure.locator("[aria-label='contour'] path").count() > 20
    figure.locator(".stage").focus()
    page.keyboard.press("ArrowRight")
    assert figure.locator("[role='status']").text_content().startswith("Last checkpoint, FD (mlp) 41.5")
    page.keyboard.press("End")
    assert figure.locator("[role='status']").text_content().startswith("Lowest on the grid: FD (mlp) 31.8")


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_page(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme):
    reason = "axe is missing: pip install lcsc[browser]"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=reason)
    found = axe.Axe().run(opened(color_scheme=scheme)).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
