"""The report page and its figures: self-contained, escaped, the same bytes each time, strict about input."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from records import rewrite
from report_records import JOINT, STEPS, ema_row, make_run, searched_row

from lcsc.errors import InputError
from lcsc.files import write_json
from lcsc.progress import logger
from lcsc.report import ReportInputs, make_report
from lcsc.report.assets import scripts
from lcsc.report.compare import compare
from lcsc.report.figures.coefficients import coefficient_words
from lcsc.report.figures.images import sheet
from lcsc.report.figures.scales import is_wide
from lcsc.report.figures.traces import trace
from lcsc.report.records import Candidate, Generation
from lcsc.report.style import looks

FIGURES = ("result", "convergence", "coefficients", "cost")
HOSTILE = "<script>alert('x')</script> & $\\frac{a}{0}$ \"quoted\""


class Page(HTMLParser):
    """Collects what a browser would load, ids, and elements without the text they need."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "img" or (tag == "svg" and found.get("role") == "img"):
            self.alts.append(str(found.get("alt") or found.get("aria-label") or ""))
        for key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            if found.get(key):
                (self.links if tag == "a" else self.loads).append(str(found[key]))

    def handle_data(self, data: str) -> None:
        self.words += data


def without_scripts(text: str) -> str:
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return make_run(tmp_path_factory.mktemp("run"), generations=4, population=5)


@pytest.fixture(scope="module")
def made(small: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    make_report(small, folder / "report.html", folder / "figures")
    return folder


@pytest.fixture
def page(made: Path) -> Page:
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_all_files_are_written(made: Path) -> None:
    names = {path.name for path in (made / "figures").iterdir()}
    assert names == {
        *(f"{name}.svg" for name in FIGURES),
        *(f"{name}.png" for name in (*FIGURES, "images")),
        *(f"{name}.csv" for name in ("convergence", "coefficients", "cost", "table", "guards")),
        *(f"{name}.{suffix}" for name in ("table", "guards") for suffix in ("html", "txt")),
    }


def test_page_loads_nothing_from_outside(made: Path, page: Page) -> None:
    assert all(load.startswith(("#", "data:image/png;base64,")) for load in page.loads)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    text = (made / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!#)", without_scripts(text))
    assert not {"link", "iframe", "object", "embed", "base"} & set(page.tags)


def test_page_holds_every_figure_with_a_text_instead(made: Path, page: Page) -> None:
    assert len(page.alts) == len(FIGURES) + 3  # images of all methods, and the two of the slider
    assert all(len(alt) > 30 for alt in page.alts)
    described = [ElementTree.parse(made / "figures" / f"{name}.svg").getroot().attrib["aria-label"] for name in FIGURES]
    assert set(described) <= set(page.alts)


def test_ids_of_the_page_are_unique_and_references_resolve(made: Path, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    text = without_scripts((made / "report.html").read_text(encoding="utf-8"))
    references = re.findall(r'url\(#([^)]+)\)|<use [^>]*href="#([^"]+)"', text)
    assert len(references) > 100
    assert {a or b for a, b in references} <= set(page.ids)


def test_sections_stand_in_the_order_of_a_reader(page: Page) -> None:
    wanted = [
        "result",
        "table",
        "guards",
        "convergence",
        "coefficients",
        "images",
        "cost",
        "protocol",
        "reproduce",
        "use",
    ]
    assert [name for name in page.ids if name in wanted] == wanted
    assert "0.75×" in page.words
    assert "lcsc merge --recipe results/digits/export/recipe.json" in page.words


def test_the_page_shows_the_guards_and_the_text_says_what_is_flagged(tmp_path: Path) -> None:
    inputs = make_run(tmp_path / "run", generations=1, population=2, kept=0.43)
    text = make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    flag = "keeps 0.43 of its gain on what it did not see, less than half"
    words = Page((tmp_path / "report.html").read_text(encoding="utf-8")).words
    headline = words.split("All methods")[-2]
    assert f"It {flag}." in headline
    assert f"LCSC (evolution) {flag}." in text
    assert "Guards: 5 × 600 images" in words
    assert f"LCSC (evolution) {flag}." in (tmp_path / "figures" / "guards.txt").read_text(encoding="utf-8")


def test_the_end_says_that_nothing_was_gained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inputs = make_run(tmp_path / "run", generations=1, population=2, factor=2.0)
    logger.addHandler(caplog.handler)
    try:
        text = make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    finally:
        logger.removeHandler(caplog.handler)
    words = "Nothing was gained: LCSC (evolution) is worse than the best EMA"
    assert words in " ".join(text.split())
    assert {record.levelname for record in caplog.records if words in record.getMessage()} == {"WARNING"}
    assert words in Page((tmp_path / "report.html").read_text(encoding="utf-8")).words.split("All methods")[-2]


def test_these_distances_are_never_called_by_the_name_of_another(made: Path) -> None:
    texts = [p.read_text(encoding="utf-8") for p in (made / "figures").iterdir() if p.suffix != ".png"]
    words = Page((made / "report.html").read_text(encoding="utf-8")).words
    assert not any(re.search(r"\b[FK]ID\b", text) for text in [*texts, words])


def test_two_reports_are_the_same_bytes(made: Path, small: ReportInputs, tmp_path: Path) -> None:
    make_report(small, tmp_path / "report.html", tmp_path / "figures")
    for path in [made / "report.html", *(made / "figures").iterdir()]:
        again = tmp_path / path.relative_to(made)
        assert again.read_bytes() == path.read_bytes(), path.name


def test_figures_do_not_depend_on_the_users_settings(made: Path, small: ReportInputs, tmp_path: Path) -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "svg.hashsalt": "other", "axes.grid": False}):
        make_report(small, tmp_path / "report.html", tmp_path / "figures")
    assert (tmp_path / "report.html").read_bytes() == (made / "report.html").read_bytes()


def test_numbers_beside_the_figures_are_those_of_the_records(made: Path, small: ReportInputs) -> None:
    with (made / "figures" / "coefficients.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ours = [float(row["coefficient"]) for row in rows if row["name"] == "evolution"]
    assert ours == searched_row(1)
    assert [int(row["step"]) for row in rows if row["name"] == "evolution"] == STEPS
    assert [float(r["coefficient"]) for r in rows if r["name"] == "ema-shaped 0.98"] == ema_row(0.98)
    with (made / "figures" / "convergence.csv").open(encoding="utf-8") as stream:
        scores = [float(row["score"]) for row in csv.DictReader(stream)]
    records = [json.loads(Path(path).read_text()) for path in small.generations]
    assert scores == [candidate["score"] for record in records for candidate in record["candidates"]]


def test_coefficients_show_step_and_value_on_hover(made: Path) -> None:
    root = ElementTree.parse(made / "figures" / "coefficients.svg").getroot()
    tips = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(tips) == len(STEPS)
    assert tips[-1].startswith(f"step 2,000: {searched_row(1)[-1]:.4f}")


def test_small_coefficients_are_not_shown_as_0() -> None:
    shown = [coefficient_words(value) for value in (0.0, 3e-7, -4e-5, 6e-5, -1.25)]
    assert shown == ["0.0000", "3e−07", "−4e−05", "0.0001", "−1.2500"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    inputs = make_run(tmp_path / "run", run=HOSTILE, label=HOSTILE, generations=1, population=2)
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("script") == len(scripts()) + len(FIGURES)  # the data of each figure's plot
    assert HOSTILE in page.words
    for name in FIGURES:
        root = ElementTree.parse(tmp_path / "figures" / f"{name}.svg").getroot()
        assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_candidates_without_score_are_drawn_and_counted(tmp_path: Path) -> None:
    inputs = make_run(tmp_path / "run", generations=2, population=4, failed=(0, 5))
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    assert "2 candidates have no score" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_search_without_any_score_is_drawn(tmp_path: Path) -> None:
    inputs = make_run(tmp_path / "run", generations=1, population=3, failed=(0, 1, 2))
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    assert "has no scored candidate" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_several_searches_and_groups(tmp_path: Path) -> None:
    searches = ("evolution", "gradient-tensor")
    inputs = make_run(tmp_path / "run", searches=searches, groups=3, generations=2, population=3)
    text = make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    assert "LCSC (gradient-tensor)" in text
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "rows of single parameter groups" in page


@pytest.mark.parametrize(
    ("searches", "own", "mark", "panels"),
    [
        (("evolution", "gradient"), (), "searched", ["cnn"]),
        (("evolution", "gradient"), ("gradient",), "searched by some", ["cnn", "joint"]),
        (("gradient", "evolution"), ("gradient",), "searched by some", ["cnn", "joint"]),
        (("gradient",), ("gradient",), "chose finalists", ["joint"]),
    ],
)
def test_scores_by_different_extractors_share_no_axis_and_the_words_are_true(
    tmp_path: Path, searches: Sequence[str], own: Sequence[str], mark: str, panels: list[str]
) -> None:
    label = f"LCSC ({searches[0]})"
    inputs = make_run(tmp_path / "run", searches=searches, own=own, label=label, generations=2, population=3)
    text = make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    drawn = (tmp_path / "figures" / "convergence.svg").read_text(encoding="utf-8")
    assert drawn.count('id="convergence-axes_') == len(panels)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    (alt,) = [alt for alt in page.alts if alt.startswith("Distance over evaluations")]
    assert [name for name in ("cnn", "joint") if f"By FD ({name}):" in alt] == (panels if len(panels) > 1 else [])
    assert ("Line: Best EMA-shaped start 980" in alt) == ("joint" in panels)
    assert ("Best EMA (EMA 0.97) 138" in alt) == ("cnn" in panels)
    words = page.words
    assert (f"FD ({JOINT}), which no column shows, was lowered by LCSC (gradient)" in text) == bool(own)
    assert f"cnn ({mark})" in words
    assert ("* the extractor that was searched:" in text) == (not own)
    lowered = searches[0] in own
    assert ("By the extractor that was searched, FD (cnn)" in words) == (not lowered)
    assert (f"What it lowered is FD ({JOINT})." in words) == lowered
    with (tmp_path / "figures" / "convergence.csv").open(encoding="utf-8") as stream:
        rows = {(row["search"], row["extractor"]) for row in csv.DictReader(stream)}
    assert rows == {(search, "joint" if search in own else "cnn") for search in searches}


def test_without_generations_and_timings_there_is_still_a_report(small: ReportInputs, tmp_path: Path) -> None:
    bare = replace(small, generations=(), timings=())
    make_report(bare, tmp_path / "report.html", tmp_path / "figures")
    assert (tmp_path / "figures" / "convergence.svg").exists()


def test_trace_counts_every_evaluation() -> None:
    scores: list[list[float | None]] = [[None, 5.0], [6.0, 4.0]]
    generations = [
        Generation("s", number, tuple(Candidate(score, "") for score in row), stopped=False)
        for number, row in enumerate(scores)
    ]
    one = trace("s", generations)
    assert one.best_so_far() == [None, 5.0, 5.0, 4.0]
    assert one.ends == (2, 4)
    assert one.course() == one.best_so_far()


def test_fresh_noise_has_no_best_score_but_a_running_median() -> None:
    scores = [9.0, 7.0, 2.0, None, 8.0]
    row = tuple(Candidate(score, "", place > 0) for place, score in enumerate(scores))
    one = trace("s", [Generation("s", 0, row, stopped=False)])
    assert one.course() == [None, 7.0, 4.5, 4.5, 7.0]
    many = tuple(Candidate(float(place), "", True) for place in range(20))
    assert trace("s", [Generation("s", 0, many, stopped=False)]).course()[-1] == 15.0


def test_a_search_on_fresh_noise_is_drawn_and_written_as_such(tmp_path: Path) -> None:
    searches = ("evolution", "gradient")
    inputs = make_run(tmp_path / "run", searches=searches, fresh=("gradient",), generations=4, population=5)
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    with (tmp_path / "figures" / "convergence.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ours, other = ([row for row in rows if row["search"] == name] for name in ("gradient", "evolution"))
    assert [row["noise"] for row in ours] == ["fixed"] * 5 + ["fresh"] * 15
    assert not any(row["best_so_far"] for row in ours)
    assert all(row["running_median"] for row in ours[5:])
    assert all(row["best_so_far"] and not row["running_median"] for row in other)
    words = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "of a search on fresh noise, whose scores cannot be compared one by one: the median of 9" in words


def test_a_choice_stands_at_its_own_number_of_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = ("evolution", "gradient")
    inputs = make_run(tmp_path / "run", searches=searches, own=("gradient",), generations=20, population=5)
    few = [path for path in inputs.generations if path.parent.name == "evolution" or path.name < "generation-0002"]
    places: list[int] = []
    words: list[str] = []

    def draw(axes: Any, *args: Any, **how: Any) -> list[Any]:
        places.extend([args[0][0]] if (how.get("marker"), how.get("clip_on")) == ("D", False) else [])
        return plot(axes, *args, **how)

    plot, label = Axes.plot, Axes.set_xlabel
    monkeypatch.setattr(Axes, "plot", draw)
    monkeypatch.setattr(Axes, "set_xlabel", lambda axes, text, **how: (words.append(text), label(axes, text, **how))[1])
    make_report(replace(inputs, generations=few), tmp_path / "report.html", tmp_path / "figures")
    assert sorted(places) == [10, 100]
    assert [text for text in words if text.startswith("Evaluations")] == [
        "Evaluations (candidates scored), log",
        "Evaluations (candidates scored)",
    ]


def test_sheet_places_images_with_gaps() -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((6, 1, 8, 8), np.uint8)
    picture = sheet(images, across=3, lines=2)
    assert picture.shape == (17, 26)
    assert (picture[:8, :8] == 0).all()
    assert (picture[9:, 9:17] == 4).all()
    assert (picture[8] == 255).all()
    assert sheet(np.zeros((2, 3, 4, 4), np.uint8), across=5, lines=2).shape == (4, 9, 3)


def test_real_images_are_shown_by_that_name(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    names = np.array(["last", "evolution", "real images"])
    np.savez(inputs.samples, names=names, images=np.zeros((3, 4, 1, 8, 8), np.uint8))
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert any("each of: Last checkpoint, LCSC (evolution), Real held-out images;" in alt for alt in page.alts)
    assert "The last row shows real images" in page.words


def test_distances_far_apart_stand_on_a_log_axis_and_others_do_not() -> None:
    assert [is_wide(values) for values in ([1.4, 99.0], [20.0, 60.0], [0.0, 60.0], [])] == [True, False, False, False]


def test_a_method_has_one_look_whatever_else_is_shown() -> None:
    alone, among = looks(["evolution"]), looks(["last", "other", "evolution", "ema"])
    assert alone["evolution"] == among["evolution"]
    many = looks(["last", "single", "uniform", "ema", "decayed", "evolution", "gradient", "cma-es", "a", "b"])
    assert len({look.colour for look in many.values()}) == len(many)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(path.read_text())
    edit(record)
    rewrite(path, record)


BROKEN: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("evaluation.json", lambda r: r.update(format="lcsc-bank"), "expected 'lcsc-evaluation'"),
    ("evaluation.json", lambda r: r.pop("methods"), "methods: missing"),
    ("evaluation.json", lambda r: r.update(images="many"), "images: found 'many', expected a whole number"),
    ("evaluation.json", lambda r: r["methods"].pop(0), "with 'last' and 'ema'"),
    ("evaluation.json", lambda r: r["methods"][0]["columns"].pop("mlp/train"), "mlp/train: missing"),
    ("evaluation.json", lambda r: r.pop("guards"), "guards: missing"),
    ("evaluation.json", lambda r: r["guards"]["real"].pop("mlp"), "guards.real.mlp: missing"),
    ("evaluation.json", lambda r: r["methods"][3].pop("gain"), "methods[3].gain: missing"),
    ("evaluation.json", lambda r: r["methods"][-1]["gain"].update(column="x"), "gain.column: found 'x'"),
    ("evaluation.json", lambda r: r["methods"][0]["guards"].pop("cnn"), "methods[0].guards.cnn: missing"),
    ("evaluation.json", lambda r: r["methods"][0]["guards"]["mlp"].update(recall="x"), "recall: found 'x'"),
    ("evaluation.json", lambda r: r["columns"][0].update(floor=None), "columns[0].floor: found None"),
    ("evaluation.json", lambda r: r["steps"].pop(), "expected rows of 39 numbers"),
    ("baselines.json", lambda r: r["entries"][0].update(score=float("nan")), "expected a finite number"),
    ("search/evolution/selection.json", lambda r: r.update(chosen=7), "chosen: found 7"),
    ("search/evolution/selection.json", lambda r: r.update(search="x"), "search: found 'x'"),
    ("search/evolution/generation-0000.json", lambda r: r.update(search="x"), "generations of 'x'"),
    ("search/evolution/generation-0000.json", lambda r: r.update(generation=1), "generation 1 of search"),
    ("timings/00-train-constant.json", lambda r: r.update(seconds=True), "seconds: found True"),
]


@pytest.mark.parametrize(("name", "edit", "words"), BROKEN)
def test_wrong_records_are_refused_in_one_line(
    tmp_path: Path, name: str, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    inputs = make_run(tmp_path, generations=2, population=2)
    change(tmp_path / name, edit)
    with pytest.raises(InputError) as caught:
        make_report(inputs, tmp_path / "out" / "report.html", tmp_path / "out")
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert str(tmp_path) in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"no numpy file", b"array"])
def test_broken_samples_are_refused(tmp_path: Path, content: bytes) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    inputs.samples.write_bytes(content)
    if content == b"array":
        with inputs.samples.open("wb") as stream:
            np.save(stream, np.zeros(3))
    with pytest.raises(InputError, match=r"samples\.npz: cannot be read") as caught:
        make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    assert "\n" not in str(caught.value)


def test_samples_of_other_methods_or_shapes_are_refused(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    np.savez(inputs.samples, names=np.array(["other"]), images=np.zeros((1, 4, 1, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"names: found \['other'\]"):
        make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    np.savez(inputs.samples, names=np.array(["last"]), images=np.zeros((1, 4, 8, 8), np.uint8))
    with pytest.raises(InputError, match=r"images: found uint8 \[1, 4, 8, 8\]"):
        make_report(inputs, tmp_path / "report.html", tmp_path / "figures")


def test_missing_files_are_named(small: ReportInputs, tmp_path: Path) -> None:
    for name in ("evaluation", "baselines", "samples"):
        missing = tmp_path / f"{name}-gone"
        with pytest.raises(InputError, match=f"{name}-gone: not found"):
            make_report(replace(small, **{name: missing}), tmp_path / "r.html", tmp_path / "figures")
    with pytest.raises(InputError, match="no selection"):
        make_report(replace(small, selections=()), tmp_path / "r.html", tmp_path / "figures")


def test_compare_gives_median_and_range_and_names_the_runs(tmp_path: Path) -> None:
    factors = (1.0, 0.9, 1.2)
    for number, factor in enumerate(factors):
        make_run(tmp_path / f"seed-{number}", run=f"seed-{number}", factor=factor, generations=1, population=2)
    result = compare(sorted(tmp_path.iterdir()))
    ratio = next(r for r in result.ratios if (r.method, r.column) == ("evolution", "mlp/held-out"))
    assert ratio.values == pytest.approx([47.1 * factor / 63.2 for factor in factors])
    assert ratio.median == median(ratio.values)
    assert (ratio.smallest, ratio.largest) == (min(ratio.values), max(ratio.values))
    text = result.text
    assert "0.745   0.671–0.894" in text
    assert f"#2 seed-1: {tmp_path / 'seed-1' / 'evaluation.json'}" in text
    assert "different protocols" not in text
    write_json(tmp_path / "comparison.json", result.record, kind="comparison")


def test_compare_refuses_unlike_runs(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", generations=1, population=2).evaluation
    other = make_run(tmp_path / "b", searches=("gradient",), generations=1, population=2).evaluation
    with pytest.raises(InputError, match="methods: found"):
        compare([first, other])
    with pytest.raises(InputError, match="given twice"):
        compare([first, first.parent])
    with pytest.raises(InputError, match="found no evaluation"):
        compare([])


def test_compare_says_where_protocols_differ(tmp_path: Path) -> None:
    paths = [make_run(tmp_path / name, generations=1, population=2).evaluation for name in "ab"]
    change(paths[1], lambda record: record["protocols"].update({"mlp/train": "00"}))
    assert "different protocols" in compare(paths).text
