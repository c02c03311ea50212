"""Landscapes in Chromium, in a run's page: contours and marks are drawn, and pointer and keys read their values."""

import pytest

pytestmark = pytest.mark.browser
LANDSCAPE = "#landscape [data-plot='landscape']"
MARGINS = {"left": 48, "top": 30, "right": 24, "bottom": 42}


def place_of(x, y, side, low=-0.5, high=1.5):
    """Pixels of a place of the plane in a picture of ``side`` pixels."""
    across, down = ((value - low) / (high - low) for value in (x, y))
    wide, tall = side - MARGINS["left"] - MARGINS["right"], side - MARGINS["top"] - MARGINS["bottom"]
    return {"x": MARGINS["left"] + across * wide, "y": MARGINS["top"] + (1 - down) * tall}


def test_contours_marks_corners_and_the_scale_of_colour_are_drawn(opened):
    figure = opened().locator(LANDSCAPE)
    assert "is-live" in figure.get_attribute("class")
    picture = figure.locator(".stage .panel svg")
    assert picture.locator("[aria-label='contour'] path").count() > 20
    corners, marks = picture.locator("[aria-label='dot']").nth(0), picture.locator("[aria-label='dot']").nth(1)
    assert [corners.locator("circle").count(), marks.locator("circle").count()] == [3, 3]
    inside, beyond = (marks.locator("circle").nth(place) for place in (1, 2))
    assert (inside.get_attribute("fill"), beyond.get_attribute("fill")) == ("#0072b2", "white")
    names = [name.strip() for name in figure.locator(".legend li").all_inner_texts()]
    assert names == ["Last checkpoint", "Best EMA (EMA 0.97)", "LCSC (evolution)"]
    assert "FD (mlp) to held-out images (seen by no search)" in figure.locator(".stage").text_content()


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (0.7, 0.3, ("FD (mlp) 31.8", "x 0.7, y 0.3")),
        (0.5, 0.5, ("Best EMA (EMA 0.97)", "FD (mlp) 42.5", "25%")),
        (1.5, -0.3, ("LCSC (evolution)", "FD (mlp) 43.5", "2.40", "−0.30", "80%")),
    ],
)
def test_pointing_shows_the_value_of_the_nearest_place(opened, x, y, words):
    figure = opened().locator(LANDSCAPE)
    picture = figure.locator(".stage .panel svg")
    picture.scroll_into_view_if_needed()
    picture.hover(position=place_of(x, y, picture.bounding_box()["width"]), force=True)
    tip = figure.locator("[aria-label='tip']")
    tip.get_by_text(words[0], exact=False).first.wait_for(state="attached")
    assert [word for word in words if word not in tip.text_content()] == []


def test_keys_read_marks_corners_and_the_lowest_place(opened):
    page = opened()
    figure = page.locator(LANDSCAPE)
    figure.locator(".stage").focus()
    said = []
    for _ in range(7):
        page.keyboard.press("ArrowRight")
        said.append(figure.locator("[role='status']").text_content())
    assert said[0].startswith("Last checkpoint, FD (mlp) 41.5 of its own weights, at x 0.00, y 1.00")
    assert [words.split(",")[0] for words in said[1:3]] == ["Best EMA (EMA 0.97)", "LCSC (evolution)"]
    assert said[3:6] == ["θ₀: step 1,100", "θ₁: step 1,500", "θ₂: step 2,000"]
    assert said[2].endswith("at x 2.40, y −0.30, 80% off the plane, beyond the frame")
    assert said[6].startswith(
        "Lowest on the grid: FD (mlp) 31.8, x 0."
    )  # 30 · (1 + 3 · 0.02), where the grid is nearest


def test_the_plane_and_the_extractor_can_be_chosen(opened):
    page = opened()
    figure = page.locator(LANDSCAPE)
    options = figure.locator(".menu", has_text="Plane").locator("option")
    assert options.count() == 2
    before = figure.locator(".stage .panel svg [aria-label='contour']").first.inner_html()
    figure.locator(".menu select").select_option(index=1)  # of the same numbers but for a gap
    assert figure.locator(".stage .panel svg [aria-label='contour']").first.inner_html() != before
    figure.locator(".choice label", has_text="FD (cnn)").click()
    assert "FD (cnn) to held-out images (searched)" in figure.locator(".stage").text_content()


def test_print_gets_the_picture(opened):
    page = opened()
    page.emulate_media(media="print")
    assert page.locator(f"{LANDSCAPE} .still").is_visible()
    assert not page.locator(f"{LANDSCAPE} .live").is_visible()
