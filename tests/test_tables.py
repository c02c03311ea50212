"""The result table: its numbers are those of the records, whatever shows them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import rewrite
from report_records import GUARDS, KEYS, LEVELS, REAL_GUARD, columns_of, guard_record, make_run

from lcsc.report.figures.labels import spread_apart
from lcsc.report.gain import is_flagged, kept_notes, kept_words
from lcsc.report.guards import guards_data, guards_table
from lcsc.report.headline import headline, verdict
from lcsc.report.measures import Measure
from lcsc.report.numbers import count, decimals_for, distance_decimals, duration, fixed, ratio, short
from lcsc.report.reading import read_evaluation, read_selection, read_timing
from lcsc.report.records import Baseline, Baselines, Evaluation
from lcsc.report.style import brief
from lcsc.report.table_formats import html_table, text_table
from lcsc.report.tables import Table, result_table, table_data
from lcsc.report.tuned import tuned_words


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return read_evaluation(make_run(tmp_path, generations=1, population=2).evaluation)


@pytest.fixture
def table(evaluation: Evaluation) -> Table:
    return result_table(evaluation, "evolution")


def test_rows_are_methods_then_the_floor_with_hindsight_after_the_best_ema(table: Table) -> None:
    names = [row.name for row in table.rows]
    assert names == ["last", "single", "uniform", "ema", "hindsight", "decayed", "evolution", "floor"]


def test_without_hindsight_there_is_no_row_for_it(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    rewrite(inputs.evaluation, {**json.loads(inputs.evaluation.read_text()), "hindsight": {}})
    names = [row.name for row in result_table(read_evaluation(inputs.evaluation)).rows]
    assert names == ["last", "single", "uniform", "ema", "decayed", "evolution", "floor"]


def test_held_out_columns_come_first_and_the_searched_extractor_is_marked(table: Table) -> None:
    keys = [(heading.key, heading.searched) for heading in table.headings]
    assert keys == [
        ("cnn/held-out", True),
        ("mlp/held-out", False),
        ("cnn/train", True),
        ("mlp/train", False),
        ("nearest/train", None),
        ("nearest/held-out", None),
    ]


def test_cells_hold_the_numbers_of_the_records(table: Table) -> None:
    base = columns_of(LEVELS["ema"][2])
    places = {heading.key: place for place, heading in enumerate(table.headings)}
    for row in table.rows:
        if row.name not in LEVELS:
            continue
        expected = columns_of(LEVELS[row.name][2])
        for extractor, part, _ in KEYS:
            key = f"{extractor}/{part}"
            cell = row.cells[places[key]]
            assert cell is not None
            jackknife = guard_record(row.name, LEVELS[row.name][2][0 if extractor == "cnn" else 2])["jackknife"][part]
            spread = max(expected[key]["spread"], jackknife["spread"])
            assert (cell.mean, cell.spread) == (expected[key]["mean"], spread)
            assert cell.ratio == expected[key]["mean"] / base[key]["mean"]


def test_floor_and_neighbours_of_real_images(table: Table) -> None:
    floor = {h.key: cell for h, cell in zip(table.headings, table.rows[-1].cells, strict=True)}
    means = {key: None if cell is None else cell.mean for key, cell in floor.items()}
    assert means == {
        "cnn/held-out": 6.4,
        "mlp/held-out": 4.2,
        "cnn/train": None,
        "mlp/train": None,
        "nearest/train": 2.31,
        "nearest/held-out": None,
    }


def test_text_shows_rounded_numbers_and_fits_the_width(table: Table) -> None:
    text = text_table(table, width=100)
    assert "83.4 ± 0.9  0.57×" in text
    assert "47.1 ± 0.5  0.75×" in text
    assert "FD (cnn) *" in text
    assert "FD (mlp) *" not in text
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_row_keeps_all_its_cells_at_any_width(table: Table, width: int) -> None:
    text = text_table(table, width=width)
    assert text.count("0.57×") == 1
    assert text.count("74.8 ± 0.9") == 1
    assert text.count("2.61") == 1


def test_csv_holds_unrounded_numbers(table: Table, evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(table_data(table).csv())))
    cell = next(r for r in rows if r["name"] == "evolution" and r["column"] == "mlp/held-out")
    measure = evaluation.method("evolution").columns["mlp/held-out"]
    assert float(cell["mean"]) == measure.mean
    assert float(cell["spread"]) == measure.spread
    empty = next(r for r in rows if r["name"] == "floor" and r["column"] == "cnn/held-out")
    assert (empty["spread"], empty["ratio_to_best_ema"]) == ("", "")


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_html_shows_the_same_rows(table: Table) -> None:
    cells = Cells()
    cells.feed(html_table(table))
    ours = next(row for row in cells.rows if row[0] == "LCSC (evolution)")
    assert ours[1:3] == ["83.4 ± 0.9 0.57×", "47.1 ± 0.5 0.75×"]
    assert len(ours) == 1 + len(table.headings)


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, label='<script>alert("x")</script>&', generations=1, population=2)
    cells = Cells()
    html = html_table(result_table(read_evaluation(inputs.evaluation)))
    cells.feed(html)
    assert "script" not in cells.tags
    assert "&lt;script&gt;" in html
    assert any(row[0] == '<script>alert("x")</script>&' for row in cells.rows)


@pytest.mark.parametrize(
    ("factor", "word", "number"),
    [(1.0, "below", "0.75×"), (1.341, "level with", "1.00×"), (2.0, "above", "1.49×")],
)
def test_headline_says_what_the_numbers_say(tmp_path: Path, factor: float, word: str, number: str) -> None:
    inputs = make_run(tmp_path, factor=factor, generations=1, population=2)
    evaluation = read_evaluation(inputs.evaluation)
    result = headline(evaluation, [read_selection(path, 40) for path in inputs.selections])
    assert result.number == number
    assert f"LCSC (evolution) is {word} the best EMA" in result.sentence
    assert "no search used" in result.number_words
    compared = {"below": "", "level with": "no better than", "above": "worse than"}[word]
    base = "the best EMA (EMA 0.97) by FD (mlp), held-out images"
    expected = f"Nothing was gained: LCSC (evolution) is {compared} {base}"
    assert result.caveat == result.no_gain == (f"{expected}; use the EMA." if compared else "")


def test_headline_warns_where_only_the_searched_extractor_is_there(evaluation: Evaluation, tmp_path: Path) -> None:
    searched = tuple(column for column in evaluation.columns if column.searched)
    only = dataclasses.replace(evaluation, columns=searched)
    result = headline(only, [read_selection(tmp_path / "search/evolution/selection.json", 40)])
    assert "that the search used" in result.number_words
    assert "no evidence" in result.caveat


def test_guards_are_those_of_the_records_in_the_order_of_the_methods(evaluation: Evaluation) -> None:
    table = guards_table(evaluation, "evolution")
    assert [row.name for row in table.rows] == [*LEVELS, "evolution", "floor"]
    keys = [heading.key for heading in table.headings]
    for row in table.rows:
        cells = {key: cell.mean for key, cell in zip(keys, row.cells, strict=True) if cell is not None}
        for extractor, place in (("cnn", 0), ("mlp", 2)):
            levels = LEVELS[row.name][2] if row.name in LEVELS else (83.4, 0, 47.1, 0)
            expected = REAL_GUARD if row.name == "floor" else guard_record(row.name, levels[place])
            assert cells[f"{extractor}/kd"] == expected["kd"]["held-out"]["mean"]
            if row.name == "floor":
                assert f"{extractor}/limit" not in cells
            else:
                assert cells[f"{extractor}/limit"] == pytest.approx(levels[place] * 0.7)
            for key in ("precision", "recall", "density", "coverage"):
                assert cells[f"{extractor}/{key}"] == expected[key]
        assert cells["copies/share"] == (0.6661 if row.name == "floor" else 0.69)
        assert ("gain/kept" in cells) == (row.name == "evolution")


def test_guards_fit_the_width_and_show_the_searched_extractor(evaluation: Evaluation) -> None:
    text = text_table(guards_table(evaluation), width=100)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "cnn (searched)" in text
    assert "mlp (no search used it)" in text
    assert [f"{value:.2f}" in text for value in GUARDS["ema"]] == [True, True]
    assert "LCSC (evolution) keeps 0.62 of its gain on what it did not see." in text


def test_all_numbers_of_the_guards_are_in_the_csv(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(guards_data(evaluation).csv())))
    found = {(r["name"], r["extractor"], r["guard"], r["part"]): (r["value"], r["spread"]) for r in rows}
    assert len(found) == len(rows)
    guard = evaluation.method("ema").guards["mlp"]
    assert float(found["ema", "mlp", "kd", "train"][0]) == guard.kd["train"].mean
    assert float(found["ema", "mlp", "jackknife", "held-out"][1]) == guard.jackknife["held-out"]
    assert float(found["evolution", "", "gain kept", "held-out"][0]) == 0.62
    assert ("ema", "", "gain kept", "held-out") not in found


@pytest.mark.parametrize(
    ("kept", "words", "flagged"),
    [
        (0.5, "keeps 0.50 of its gain on what it did not see", False),
        (0.43, "keeps 0.43 of its gain on what it did not see, less than half", True),
        (-0.2, "keeps nothing of its gain on what it did not see (−0.20)", True),
        (None, "shows no gain on the best EMA that noise does not explain, even by what it searched", False),
    ],
)
def test_what_is_kept_of_a_gain_in_words(tmp_path: Path, kept: float | None, words: str, flagged: bool) -> None:
    inputs = make_run(tmp_path, generations=1, population=2, kept=kept)
    evaluation = read_evaluation(inputs.evaluation)
    method = evaluation.method("evolution")
    assert (kept_words(method), is_flagged(method)) == (words, flagged)
    result = headline(evaluation, [read_selection(path, 40) for path in inputs.selections])
    assert result.caveat == (f"It {words}." if flagged else "")
    assert (f"LCSC (evolution) {words}." in result_table(evaluation).notes) == flagged
    assert kept_notes(evaluation) == (f"LCSC (evolution) {words}.",)
    cell = guards_table(evaluation).rows[-2].cells[0]
    assert (cell is not None and cell.note == "less than half") == flagged


def test_verdict_needs_more_than_the_spread() -> None:
    assert verdict(Measure((), 9.0, 0.3), Measure((), 10.0, 0.3)) == "below"
    assert verdict(Measure((), 9.5, 0.3), Measure((), 10.0, 0.3)) == "level with"
    assert verdict(Measure((), 9.0, 0.0), Measure((), 9.0, 0.0)) == "level with"


@pytest.mark.parametrize(("blocks", "expected"), [(0.001, 2.0), (5.0, 5.0)])
def test_the_spread_is_the_larger_of_blocks_and_jackknife_and_the_verdict_uses_it(
    tmp_path: Path, blocks: float, expected: float
) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    record = json.loads(inputs.evaluation.read_text())
    for method in record["methods"]:
        method["columns"]["mlp/held-out"] |= {"mean": 50.0 if method["name"] == "ema" else 47.1, "spread": blocks}
        method["guards"]["mlp"]["jackknife"]["held-out"]["spread"] = 2.0
    rewrite(inputs.evaluation, record)
    evaluation = read_evaluation(inputs.evaluation)
    assert evaluation.method("evolution").columns["mlp/held-out"].spread == expected
    result = headline(evaluation, [read_selection(path, 40) for path in inputs.selections])
    assert "LCSC (evolution) is level with the best EMA" in result.sentence  # 2.9 apart: below by the blocks alone
    for method in record["methods"]:
        method["guards"]["mlp"]["jackknife"]["held-out"] = None  # too few images for it
    rewrite(inputs.evaluation, record)
    assert read_evaluation(inputs.evaluation).method("evolution").columns["mlp/held-out"].spread == blocks


def test_inception_scores_stand_where_an_extractor_knows_classes(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    record = json.loads(inputs.evaluation.read_text())
    assert "IS" not in [heading.label for heading in guards_table(read_evaluation(inputs.evaluation)).headings]
    for place, method in enumerate(record["methods"]):
        method["guards"]["cnn"]["inception_score"] = {"mean": 5.0 + place, "spread": 0.1}
    record["guards"]["real"]["cnn"]["inception_score"] = {"mean": 9.5, "spread": 0.2}
    rewrite(inputs.evaluation, record)
    evaluation = read_evaluation(inputs.evaluation)
    table = guards_table(evaluation)
    place = [heading.key for heading in table.headings].index("cnn/is")
    found = [row.cells[place] for row in table.rows]
    assert [cell.mean for cell in found if cell] == [5.0 + place for place in range(len(record["methods"]))] + [9.5]
    assert all(len(row.cells) == len(table.headings) for row in table.rows)
    assert any(note.startswith("IS: Inception score") for note in table.notes)
    rows = [row for row in guards_data(evaluation).rows if "inception score" in row]
    assert len(rows) == len(record["methods"]) + 1


def test_kernel_distances_have_the_digits_of_their_spread(evaluation: Evaluation) -> None:
    text = text_table(guards_table(evaluation), width=300)
    assert re.search(r"LCSC \(evolution\) .* 1\.67 ± 0\.21 .* 0\.94 ± 0\.12 ", text)
    assert [distance_decimals(means) for means in ([380.2, 0.942], [83.4, 42.9], [3.21], [0.0123])] == [2, 1, 2, 3]


@pytest.mark.parametrize(
    ("score", "level", "seconds", "expected"),
    [
        (80.0, 48.0, 30.0, ""),
        (70.0, 4.7, 30.0, "0.07× (mlp) in 30 s, the search in 2 min 03 s; its selection score is lower {}, its "
         "distance lower."),
        (80.0, 4.7, 120.0, "0.07× (mlp) in about the same seconds (2 min 00 s against 2 min 03 s); its selection score "
         "is higher {}, its distance lower."),
        (70.0, 90.0, 0.0, "1.42× (mlp); its selection score is lower {}, its distance higher."),
        (70.0, 47.2, 0.0, "0.75× (mlp); its selection score is lower {}, its distance about the same."),
    ],
)  # fmt: skip
def test_a_fine_tuning_that_reaches_more_is_told(
    tmp_path: Path, score: float, level: float, seconds: float, expected: str
) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    evaluation = read_evaluation(inputs.evaluation)
    columns = {key: dataclasses.replace(m, mean=level) for key, m in evaluation.method("ema").columns.items()}
    tuned = dataclasses.replace(evaluation.method("ema"), name="tuned-span", family="tuned-span", columns=columns)
    evaluation = dataclasses.replace(evaluation, methods=(*evaluation.methods, tuned))
    entry = Baseline("span 5e-4 110", "tuned-span", "x", None, score)
    baselines = Baselines(10, (entry,), {"tuned-span": entry.name})
    timings = [read_timing(path) for path in inputs.timings]
    timings += [dataclasses.replace(timings[0], step="tune-span", seconds=seconds)] if seconds else []
    selections = [read_selection(path, 40) for path in inputs.selections]
    words = tuned_words(evaluation, baselines, selections[0], timings)
    than = f"than that search’s ({score:.1f} against 75.9)"
    assert words == (f"Fine-tuning with the span reaches {expected.format(than)}" if expected else "")
    assert headline(evaluation, selections, words).caveat == words


def test_labels_of_fine_tunings_are_short_in_figures() -> None:
    assert brief("Fine-tuned (rate 6e-4, 110 gradients)") == "Fine-tuned 6e-4"
    assert brief("Fine-tuned with the span (rate 5e-4, 1 gradient)") == "Fine-tuned + span 5e-4"
    assert brief("LCSC (evolution), fine-tuned (rate 1e-4, 60 gradients)") == "evolution, tuned 1e-4"
    assert brief("LCSC (evolution)") == "LCSC (evolution)"


def test_numbers_as_text() -> None:
    assert fixed(-0.0004, 3) == "0.000"
    assert fixed(-1234.5, 1) == "−1,234.5"
    assert [decimals_for([v]) for v in (380.2, 83.4, 6.41, 0.0123)] == [0, 1, 2, 4]
    assert short(0.57213) == "0.572"
    assert ratio(0.574) == "0.57×"
    assert (count(1500), count(3_000_000)) == ("1,500", "3.0 million")
    times = [duration(seconds) for seconds in (0.84, 42.2, 123, 3599.6, 7500)]
    assert times == ["0.8 s", "42 s", "2 min 03 s", "1 h 00 min", "2 h 05 min"]


@given(st.lists(st.floats(-5, 5), max_size=8), st.floats(0.01, 1))
def test_labels_are_apart_and_keep_their_order(positions: list[float], gap: float) -> None:
    moved = spread_apart(positions, gap)
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    for lower, upper in pairwise(order):
        assert moved[upper] - moved[lower] >= gap - 1e-9


def test_labels_that_are_apart_stay() -> None:
    assert spread_apart([3.0, 1.0], 0.5) == [3.0, 1.0]


def test_records_are_json(tmp_path: Path) -> None:
    inputs = make_run(tmp_path, generations=1, population=2)
    assert json.loads(inputs.evaluation.read_text())["format"] == "lcsc-evaluation"
