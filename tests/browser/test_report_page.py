"""What a reader does with a run's report in a real browser: look, point, type, drag, print, read it on a phone."""

import re

import pytest

pytestmark = pytest.mark.browser
LIVE = "figure.is-live .stage"


def test_every_figure_is_drawn(opened):
    page = opened()
    figures = page.locator("[data-plot]")
    assert figures.count() >= 4
    for place in range(figures.count()):
        figure = figures.nth(place)
        assert "is-live" in figure.get_attribute("class")
        marks = figure.locator(".stage svg :is(circle, rect, path, line)")
        assert marks.count() > 10
        box = figure.locator(".stage").bounding_box()
        assert box["width"] > 300
        assert box["height"] > 100


def test_pointing_at_a_coefficient_shows_its_step_and_value(opened):
    page = opened()
    figure = page.locator("[data-plot='coefficients']")
    figure.scroll_into_view_if_needed()
    picture = figure.locator(".stage svg").last
    assert "step 1," not in picture.text_content()
    box = picture.bounding_box()
    picture.hover(position={"x": 0.6 * box["width"], "y": 0.5 * box["height"]}, force=True)
    tip = figure.locator("[aria-label='tip']").last
    tip.get_by_text("step 1,", exact=False).first.wait_for(state="attached")
    assert "step 1," in tip.text_content()
    ticks = figure.locator("[aria-label='x-axis tick label']").last.text_content()
    assert "1,200" in ticks
    assert "e+" not in ticks


def test_the_keyboard_reads_the_values(opened):
    page = opened()
    figure = page.locator("[data-plot='coefficients']")
    stage = figure.locator(".stage")
    stage.focus()
    said = []
    for key in ("Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        said.append(figure.locator("[role='status']").text_content())
    assert [words.split(":")[0] for words in said] == ["step 1,025", "step 1,050", "step 2,000"]


def test_the_row_of_a_group_can_be_chosen(opened):
    page = opened()
    figure = page.locator("[data-plot='coefficients']")
    rows = figure.locator(".menu", has_text="Row").locator("select").last
    before = figure.locator(".stage svg").last.inner_html()
    rows.select_option(index=1)
    assert figure.locator(".stage svg").last.inner_html() != before


def test_a_search_can_be_hidden(opened):
    page = opened()
    figure = page.locator("[data-plot]").filter(has=page.locator(".legend button")).first
    before = figure.locator(".stage svg").first.locator("circle, path").count()
    button = figure.locator(".legend button").first
    button.click()
    assert figure.locator(".legend button").first.get_attribute("aria-pressed") == "false"
    assert figure.locator(".stage svg").first.locator("circle, path").count() != before


def test_the_slider_moves_the_line_between_the_images(opened):
    page = opened()
    slider = page.locator("#slider")
    at = "document.querySelector('.comparison').style.getPropertyValue('--at')"
    assert page.evaluate(at) == "50%"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(at) == "51%"
    picture = page.locator(".pair img").first
    box = picture.bounding_box()
    picture.click(position={"x": 0.2 * box["width"], "y": 0.4 * box["height"]}, force=True)
    assert 15 <= float(page.evaluate(at).rstrip("%")) <= 25
    shapes = "[...document.querySelectorAll('.pair img')].map((one) => getComputedStyle(one).clipPath)"
    assert any("inset" in shape for shape in page.evaluate(shapes))


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_nothing_stands_beyond_the_edge(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is missing: pip install lcsc[browser]"
    )
    page = opened(color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (one["id"], node["html"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == []


def test_dark_mode_is_dark(opened):
    dark = opened(color_scheme="dark").evaluate("getComputedStyle(document.body).backgroundColor")
    light = opened(color_scheme="light").evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [sum(int(value) for value in colour[4:-1].split(",")) for colour in (dark, light)]
    assert levels[0] < 200 < 600 < levels[1]


@pytest.mark.parametrize(("width", "sections"), [(718, "section:not(#guards)"), (1046, "#guards")])
def test_nothing_is_cut_off_on_paper(opened, width, sections):
    """An A4 sheet less its margins, in CSS pixels; the guards' many columns get one across."""
    page = opened(viewport={"width": width, "height": 1000})
    page.emulate_media(media="print")
    inner = ":is(table, figure, .still svg, .still img, pre, .comparison)"
    rights = page.locator(f"{sections} {inner}").evaluate_all(
        "found => found.filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().right)"
    )
    assert len(rights) > 0
    assert max(rights) <= width


def test_the_guards_are_printed_across(opened):
    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", opened().pdf(format="A4", prefer_css_page_size=True))
    across = [float(wide) > float(tall) for wide, tall in sizes]
    assert 1 <= sum(across) < len(across)


def test_print_and_readers_without_scripts_get_the_pictures(opened):
    page = opened()
    page.emulate_media(media="print")
    assert page.locator("[data-plot] .still").first.is_visible()
    assert not page.locator(LIVE).first.is_visible()
    without = opened(java_script_enabled=False)
    assert without.locator("[data-plot] .still svg").first.is_visible()
    assert without.locator(".pair img").count() == 2
    assert not without.locator("#slider").is_visible()
