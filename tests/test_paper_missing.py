"""Seconds that are not there: refused by name where a number would be wrong, and said where a page goes without."""

import json
import logging
import shutil

import pytest
from paper_records import ABOUT, SEEDS, make_results, name_of, write_timing
from report_records import make_run
from test_paper_makers import FIGURES, RUNS

from lcsc.cli import main
from lcsc.paper.points import ROLES, Point, series_of
from lcsc.paper.similarity import WHATS
from lcsc.paper.similarity_figure import _empty_words
from lcsc.paper.times import Times, times_data, times_of
from lcsc.report import make_report
from lcsc.report.reading import read_evaluation, read_timing
from lcsc.report.seconds import seconds_of_searches


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"))


@pytest.fixture
def results(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "results")


def refused(results, capsys, name):
    """What ``lcsc figures`` says when it is asked for the figure ``name``."""
    figures = {key: FIGURES[key] for key in dict.fromkeys(("lengths", name))}
    settings = json.dumps({"figures": figures, "claims": [], "runs": ABOUT})
    output = ["--output", str(results / "figures")]
    assert main(["figures", "--settings", settings, "--results", str(results), *output]) == 2
    return capsys.readouterr().err


def test_a_lost_journal_is_named_with_the_way_out(results, capsys):
    journal = results / RUNS[2] / "search" / "gradient" / "journal"
    shutil.rmtree(journal)
    assert f"{journal}: not found, expected the search's journal, which stays where the search ran" in refused(
        results, capsys, "convergence"
    )


@pytest.mark.parametrize("number", [0, 1])
def test_a_lost_round_s_timing_is_told_and_not_left_out_of_the_cost(results, capsys, number):
    folder = results / RUNS[1] / "timings"
    (folder / f"search-evolution-{number:04d}.json").unlink()
    words = refused(results, capsys, "cost")
    assert f"{folder}: search-evolution-{1 - number:04d}.json: found 3 evaluations, expected 6 as in" in words
    assert "remove them and the search's generations, and make the run again" in words


def test_a_lost_timing_of_the_training_is_named(results, capsys):
    (results / name_of(8000, SEEDS[0]) / "timings" / "train-constant.json").unlink()
    assert "found no train-constant.json; make the run again with the workflow" in refused(results, capsys, "cost")


def seconds(results, *timings):
    search = results / RUNS[0] / "search"
    paths = [path for name in ("evolution", "gradient") for path in sorted((search / name).glob("generation-*.json"))]
    folder = results / RUNS[0] / "timings"
    return seconds_of_searches(paths, [read_timing(folder / f"{name}.json") for name in timings])


def test_a_report_s_seconds_are_those_of_the_journals_shared_by_the_workers(results):
    write_timing(results / RUNS[0], "search-evolution", 7.0)
    write_timing(results / RUNS[0], "search-gradient", 7.0)
    found = seconds(results, "search-evolution", "search-gradient")
    assert found == {"evolution": [0.5, 1, 1.5, 2, 2.5, 3], "gradient": [0.5, 1, 5, 9, 13]}


def test_a_report_says_which_search_has_no_seconds_and_why(results, caplog):
    write_timing(results / RUNS[0], "search-gradient", 7.0)
    shutil.rmtree(results / RUNS[0] / "search" / "gradient" / "journal")
    assert seconds(results, "search-gradient") == {}
    said = " ".join(caplog.messages)
    assert "no seconds of the search evolution: --timings: found none of 'search-evolution'" in said
    assert (
        f"no seconds of the search gradient: {results / RUNS[0] / 'search' / 'gradient' / 'journal'}: not found" in said
    )


def test_a_run_s_page_says_that_it_goes_without_seconds(tmp_path):
    inputs = make_run(tmp_path, generations=2, population=3)
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Not shown against seconds: no whole journal of LCSC (evolution)." in page


def test_runs_without_times_of_jobs_are_counted_in_the_table(tmp_path, caplog):
    for run in ("a", "shared"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "train-constant.tsv").write_text("s\th:m:s\n12.5\t0:00:12\n")
    figures = {"one": {"kind": "methods", "runs": ["a", "b"]}}
    about = {run: {"training": run} for run in "ab"}
    with caplog.at_level(logging.WARNING):
        table = times_data(times_of(figures, about, tmp_path))
    assert [row[:2] for row in table.rows] == [
        ("images, extractors and statistics", "–"), ("one", "2 (1 without times)"), ("together", "(1 without times)"),
    ]  # fmt: skip
    assert f"{tmp_path / 'b'}: found no times of jobs" in caplog.text
    assert Times().unknown == 0


def test_a_method_that_some_runs_lack_is_told(whole, caplog):
    evaluations = [read_evaluation(whole / run / "evaluation.json") for run in (RUNS[0], name_of(2000, 0))]
    points = [Point(1.0, tuple(evaluations)), Point(2.0, (evaluations[1], evaluations[1]))]
    series = series_of(points, ["from-1000", "adam"])
    assert {(key, one.xs) for key, one in series.items()} == {(("from-1000", role), (2.0,)) for role in ROLES}
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "figures: 1 of 2 runs at 1.0 have 'from-1000'", "figures: no point has 'adam' in all its runs",
    ]  # fmt: skip


def test_a_map_of_what_is_alike_says_what_is_empty():
    full, empty = [[1.0, 0.5], [0.5, 1.0]], [[1.0, None], [None, None]]
    cells = dict.fromkeys(WHATS, full)
    assert _empty_words(["Last", "Best EMA"], cells) == ""
    words = _empty_words(["Last", "Best EMA"], {**cells, "coefficients": empty})
    assert words == " Empty, since a run has none: Best EMA (coefficients)."
