"""Claims over several runs: numbers that are known beforehand, and figures and table from files."""

import copy
import csv
import json
import math
import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import make_run
from small_workflow import CONFIG

from lcsc.cli import main
from lcsc.config import resolve, step_settings
from lcsc.errors import InputError
from lcsc.paper.made import Made
from lcsc.paper.markdown import _code
from lcsc.paper.measures import Number, between, crossing, holds, match, ratio, speed_up
from lcsc.paper.points import Point, Series, make_series
from lcsc.paper.table import find
from lcsc.report.drawing import Drawing
from lcsc.report.reading import read_evaluation

STEPS = (1000.0, 2000.0, 4000.0, 8000.0)


def power_law(name, level, exponent=-0.5, xs=STEPS, seeds=(1.0, 1.1, 0.9)):
    """Distances level · (x / 1000)^exponent, times a factor for each seed."""
    return Series(name, name, xs, tuple(tuple(level * s * (x / 1000) ** exponent for s in seeds) for x in xs))


@given(st.floats(1.05, 2.8), st.floats(-2, -0.3))
def test_the_speed_up_along_a_power_law_is_the_root_of_the_gain(gain, exponent):
    base, ours = power_law("ema", 100.0, exponent), power_law("gradient", 100.0 * gain**exponent, exponent)
    number = speed_up(ours, base, 1000)
    assert number.values == pytest.approx((gain,) * 3)
    assert not any(number.beyond)


def test_a_level_that_is_never_reached_is_at_least_the_longest_training():
    number = speed_up(power_law("gradient", 10.0), power_law("ema", 100.0), 1000)
    assert number.values == (8.0, 8.0, 8.0)
    assert all(number.beyond)
    assert number.text() == "> 8.00 (> 8.00–> 8.00)"


def test_a_base_that_is_better_at_once_has_no_speed_up():
    assert speed_up(power_law("gradient", 200.0), power_law("ema", 100.0), 2000).values == (0.5, 0.5, 0.5)


def test_where_a_curve_comes_down_to_another_one_s_level():
    ours, base = power_law("gradient", 30.0, xs=(4.0, 5.0, 6.0)), power_law("ema", 30.0, xs=(5.0, 20.0))
    assert match(ours, base, 5.0).values == (5.0, 5.0, 5.0)
    found = match(ours, base, 20.0)
    assert all(math.isinf(value) for value in found.values)
    assert found.text() == "never (never–never)"


def test_ratios_are_taken_seed_by_seed():
    ours = Series("a", "a", (1.0,), ((2.0, 9.0),))
    base = Series("b", "b", (2.0,), ((4.0, 3.0),))
    number = ratio(ours, 1.0, base, 2.0)
    assert number.values == (0.5, 3.0)
    assert number.text() == "1.75 (0.500–3.00)"


@pytest.mark.parametrize(("target", "held"), [({"at_most": 2.0}, True), ({"at_most": 1.9}, False), ({"at_least": 2.0}, True), ({"at_least": 2.1}, False)])  # fmt: skip # noqa: E501
def test_targets_are_of_the_median(target, held):
    assert holds(Number((1.0, 2.0, 9.0), (False,) * 3), target) is held


def test_a_curve_that_starts_below_crosses_at_its_start():
    assert crossing([2.0, 4.0], [5.0, 1.0], 6.0) == 2.0
    assert crossing([2.0, 4.0], [5.0, 1.0], 0.5) is None
    assert crossing([1.0, 4.0], [16.0, 1.0], 4.0) == pytest.approx(2.0)


def test_a_claim_holds_by_both_by_one_or_not():
    unseen, searched = power_law("gradient", 50.0), power_law("gradient", 90.0)
    series = {("gradient", "unseen"): unseen, ("gradient", "searched"): searched}
    series |= {("ema", role): power_law("ema", 100.0) for role in ("unseen", "searched")}
    made = Made(Drawing("n", "t", "a", "c"), b"", partial(between, series))
    spec = {"measure": {"kind": "ratio", "method": "gradient", "base": "ema", "at": 1000.0, "base_at": None}}
    verdicts = [find({**spec, "target": {"at_most": level}}, made).verdict for level in (0.95, 0.6, 0.4)]
    assert verdicts == ["holds", "holds by the unseen extractor alone", "does not hold"]


@pytest.fixture
def results(tmp_path):
    """Two runs at each of two places; at the second all distances are half as large."""
    for x, factor in ((1000, 1.0), (2000, 0.5)):
        for seed in (0, 1):
            make_run(tmp_path / f"r-{x}-{seed}", run=f"r-{x}-{seed}", factor=factor)
    for folder in tmp_path.iterdir():
        assert (folder / "evaluation.json").is_file()
    return tmp_path


SPEC = {
    "kind": "points", "title": "Cost of training", "x": {"label": "Training steps", "scale": "log"},
    "methods": ["last", "ema", "evolution"], "labels": {},
    "points": [{"x": x, "runs": [f"r-{x}-0", f"r-{x}-1"]} for x in (1000, 2000)],
}  # fmt: skip
CLAIM = {
    "claim": "Better | cheaper", "paper": "23", "here": "digits", "figure": "cost",
    "target": {"at_most": 0.9, "at_least": None},
    "measure": {"kind": "ratio", "method": "evolution", "base": "ema", "at": 1000.0, "base_at": None},
}  # fmt: skip
RUNS = {
    f"r-{x}-{seed}": {"training": f"r-{x}-{seed}", "steps": x, "searches": {"evolution": 2000}}
    for x in (1000, 2000)
    for seed in (0, 1)
}


def test_figures_and_claims_are_made_from_files_the_same_bytes_each_time(results):
    settings = json.dumps({"figures": {"cost": SPEC}, "claims": [CLAIM], "runs": RUNS})
    for folder in ("a", "b"):
        options = ["--settings", settings, "--results", str(results), "--output", str(results / folder)]
        assert main(["figures", *options, "--log", str(results / "log")]) == 0
    log = (results / "log").read_text(encoding="utf-8")
    assert all(re.search(f"reads records of {run}: .*evaluation.json.*: sha256 [0-9a-f]{{12}}, ", log) for run in RUNS)
    assert "reads --" not in log  # not all there is in the folder of the results
    files = sorted(path.name for path in (results / "a").iterdir())
    assert files == ["cost.csv", "cost.png", "cost.svg", "paper.md", "report.html"]
    assert all((results / "a" / name).read_bytes() == (results / "b" / name).read_bytes() for name in files)
    with (results / "a" / "cost.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 3 * 2 * 2  # extractors, methods, places, seeds
    evaluation = read_evaluation(results / "r-1000-1" / "evaluation.json")
    known = evaluation.method("evolution").columns["mlp/held-out"].mean
    (row,) = [r for r in rows if (r["method"], r["extractor"], r["x"], r["seed"]) == ("evolution", "unseen", "1000", "1")]  # fmt: skip # noqa: E501
    assert float(row["distance"]) == known
    page = (results / "a" / "paper.md").read_text(encoding="utf-8")
    assert "Better \\| cheaper" in page
    assert "holds (≤ 0.9)" in page


def test_words_of_the_configuration_are_no_markup_in_the_page_of_claims(results):
    nasty = "<img src=x onerror=alert(1)> ] &lt; | b"
    claim = {**CLAIM, "claim": nasty, "paper": nasty, "here": nasty}
    spec = {**SPEC, "title": nasty, "labels": {"last": nasty}}
    settings = json.dumps({"figures": {"cost": spec}, "claims": [claim], "runs": RUNS})
    options = ["--settings", settings, "--results", str(results), "--output", str(results / "a")]
    assert main(["figures", *options, "--configfile", "a`<b>`.yaml"]) == 0
    page = (results / "a" / "paper.md").read_text(encoding="utf-8")
    code = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
    assert "<" not in code.sub("", page)
    shown = "&lt;img src=x onerror=alert(1)> ] &amp;lt; | b"
    assert f"## {shown}\n" in page
    assert f"![{shown.replace(']', chr(92) + ']')}](" in page
    (row,) = (line for line in page.splitlines() if line.startswith("| &lt;img"))
    assert row.count(shown.replace("|", "\\|")) == 3
    assert any("--configfile 'a`<b>`.yaml' -- " in found[2] for found in code.finditer(row))


@pytest.mark.parametrize("words", ["plain", "a`b", "``", "`"])
def test_code_ends_where_it_ends(words):
    found = re.fullmatch(r"(`+)( ?)(.*)\2\1", _code(words))
    assert found[3] == words
    assert found[1] not in re.findall("`+", words)


def test_points_that_do_not_compare_are_refused(results):
    one, two = (read_evaluation(results / f"r-1000-{seed}" / "evaluation.json") for seed in (0, 1))
    with pytest.raises(InputError, match="expected as many seeds"):
        make_series([Point(1.0, (one,)), Point(2.0, (one, two))], "ema", "unseen")
    assert make_series([Point(1.0, (one, two))], "nobody", "unseen") is None


def with_figures(claim=None, **changes):
    config = copy.deepcopy(CONFIG)
    spec = {**copy.deepcopy(SPEC), "points": [{"x": 1000, "runs": ["tiny"]}], **changes}
    return {**config, "figures": {"cost": spec}, "claims": [{**CLAIM, **(claim or {})}]}


def test_the_configuration_is_the_step_s_settings():
    settings = step_settings(resolve(with_figures()), None, "figures")
    assert settings["figures"]["cost"]["points"] == [{"x": 1000.0, "runs": ["tiny"]}]
    assert settings["claims"][0]["measure"]["base"] == "ema"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (with_figures(points=[{"x": 1000, "runs": ["other"]}]), "figures.cost.points[0].runs: found 'other'"),
        (with_figures(points=[{"x": 1, "runs": ["tiny"]}, {"x": 2, "runs": ["tiny", "tiny"]}]), "2 runs, expected 1"),
        (with_figures(points=[{"x": "b", "runs": ["tiny"]}]), "expected words on a 'category' axis, and numbers"),
        (with_figures({"figure": "none"}), "expected a name in 'figures', not of a landscape or of coefficients: cost"),
        (with_figures({"measure": {"kind": "ratio", "method": "adam", "at": 1000}}), "measure.method: found 'adam'"),
        (with_figures({"measure": {"kind": "ratio", "method": "ema"}}), "at: found nothing (null), expected an x"),
        (with_figures({"measure": {"kind": "match", "method": "ema", "base_at": 3}}), "measure.base_at: found 3"),
    ],
)  # fmt: skip
def test_figures_and_claims_that_cannot_be_made_are_refused(config, words):
    with pytest.raises(InputError) as refused:
        resolve(config)
    assert words in str(refused.value)
