"""The course of searches and fine-tunings: work, incumbents, and what they reach on report noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import SCORING

from lcsc import weights
from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.runtime import deterministic
from lcsc.search.base import Candidate, Scored
from lcsc.search.generations import Generation
from lcsc.search.patience import Look
from lcsc.search.racing import Race
from lcsc.traces import trace
from lcsc.traces.trace import Moment, Work

EVOLUTION = {
    "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
    "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
}  # fmt: skip
RACE = {"racing": {"images": 20, "keep": 0.5}, "stopping": {"every": 1, "patience": 9, "images": 30}}
ADAM = {"method": "gradient", "seed": 0, "optimiser": "adam", "noise": "fresh", "initial_rates": [0.9]}
TUNE = {
    "start": "best-average", "rates": [1e-30, 0.01], "gradients": 4, "noise": "fresh", "decay": False,
    "betas": [0.9, 0.99], "initial_rates": [0.8, 0.9],
}  # fmt: skip
TRACE = {"run": "tiny", "points": 4, "images": 50, "unit": 120, "search_images": 60}


class Clock:
    """Seconds that are 1 for a score, 5 for one with a gradient, 0.25 for a heat, 2 for a look."""

    folder = Path("folder")

    def __init__(self, race: Race | None = None) -> None:
        self.race = race

    def of_score(self, item: Scored) -> float:
        return 1.0 if item.gradient is None else 5.0

    def of_heat(self, candidate: Candidate) -> float:
        return 0.25

    def of_look(self, candidate: Candidate) -> float:
        return 2.0


def item(score: float | None, gradient: bool = False, iteration: int = 0, raced: float | None = None) -> Scored:
    rows = np.full((1, 2), 0.5)
    return Scored(Candidate(rows, "x", iteration), score, rows if gradient else None, raced)


def chain(*generations: list[Scored], look: int | None = None, **settings: object) -> list[Generation]:
    return [
        Generation(
            number, "p", "b", settings, tuple(scored), (None,) * len(scored), {}, None,
            look=Look(0, 0, 1.0) if number == look else None,
        )
        for number, scored in enumerate(generations)
    ]  # fmt: skip


def rows(found: list[Moment]) -> list[tuple[float, int, float, float | None]]:
    return [(m.work.evaluations, m.work.gradients, m.work.seconds, m.item.score) for m in found]


def test_work_and_the_best_so_far_are_counted_candidate_by_candidate() -> None:
    generations = chain([item(None), item(5.0), item(7.0)], [item(4.0, True)], [item(6.0, True)])
    found = trace.moments(generations, Clock(), 2, 100)
    assert rows(found) == [(2, 0, 1, 5), (3, 0, 1.5, 5), (3, 1, 6.5, 4), (3, 2, 11.5, 4)]
    assert rows(trace.improvements(found)) == [(2, 0, 1, 5), (3, 1, 6.5, 4)]
    cost = trace.gradient_cost(generations, Clock(), 2)
    assert cost == 10.0  # two workers would have scored ten meanwhile
    assert [m.work.equivalents(cost) for m in found] == [2, 3, 13, 23]
    assert trace.gradient_cost(generations[:1], Clock(), 2) is None
    with pytest.raises(InputError, match="no seconds of gradients and of scores by value"):
        trace.gradient_cost(generations[1:], Clock(), 2)
    with pytest.raises(InputError, match="no candidate has a score"):
        trace.moments(chain([item(None)]), Clock(), 1, 100)


def test_on_fresh_noise_the_last_is_the_best() -> None:
    found = trace.moments(chain([item(3.0)], [item(5.0, True, 1)], [item(9.0, True, 2)]), Clock(), 1, 100)
    assert [m.item.score for m in found] == [3, 5, 9]


def test_heats_and_looks_are_work() -> None:
    race = Race(25, 0.5, 100)
    generations = chain([item(5.0), item(None, raced=6.0)], look=0, stopping={"images": 300})
    found = trace.moments(generations, Clock(race), 1, 100)
    assert rows(found) == [(1.25, 0, 1.25, 5), (4.5, 0, 3.5, 5)]


@given(st.floats(1, 50), st.floats(1, 100), st.integers(2, 12))
def test_amounts_rise_from_end_to_end(first: float, factor: float, points: int) -> None:
    found = trace.amounts(first, first * factor, points)
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (first, first * factor)
    assert len(found) <= points + 1
    assert (150.0 in found) == (first <= 150 <= first * factor) or factor == 1


def test_a_point_is_the_last_moment_within_an_amount_of_work() -> None:
    found = trace.moments(chain([item(9.0), item(8.0), item(7.0), item(6.0)]), Clock(), 1, 100)
    shown = trace.seen_at(found, [1.0, 2.9, 2.95, 4.0], 0.0)
    assert [m.item.score for m in shown] == [9, 8, 6]


def test_work_adds_up() -> None:
    assert Work(1, 2, 3.0).plus(4, 5, 6.0) == Work(5, 7, 9.0)


def lcsc(tiny_run, step, *arguments, expected=0, **settings):
    given = ["--settings", json.dumps({**SCORING, "images": 60, **settings}), "--device", "cpu"]
    command = [step, "--bank", tiny_run.folder / "bank", *given, *arguments]
    assert main([str(argument) for argument in command]) == expected


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """A race, a search on fresh noise, and two fine-tunings, with what the baselines say of these."""
    folder = tmp_path_factory.mktemp("trace")
    by = ["--extractor", tiny_run.folder / "cnn.safetensors", "--reference", tiny_run.folder / "train.cnn.h5"]
    with deterministic(1):
        for name, search, count in (("race", {**EVOLUTION, **RACE}, 3), ("adam", ADAM, 5)):
            output = ["--count", count, "--output", folder / name, "--timing", folder / f"{name}.json"]
            lcsc(tiny_run, "search", *by, *output, name=name, search=search)
        chosen = ["--generations", *sorted((folder / "adam").glob("generation-*.json"))]
        lcsc(tiny_run, "select", *by, *chosen, "--output", folder / "selection.json", name="adam", finalists=1)
        for name, start in (("best", []), ("after", ["--start", folder / "selection.json"])):
            tune = {**TUNE, "start": "adam" if start else "best-average"}
            output = ["--output", folder / name, "--timing", folder / f"{name}.json"]
            lcsc(tiny_run, "tune", *by, *start, *output, name=name, images=30, search_images=120, tune=tune)
        tuned = ["--tuned", folder / "best", folder / "after", "--output", folder / "baselines.json"]
        lcsc(tiny_run, "baselines", *by, *tuned, baselines={"ema_shaped": [0.8, 0.9]})
    return folder


def run_trace(tiny_run, folder, name, *further, output=None, expected=0, part="held-out"):
    if (folder / name / "manifest.json").is_file():
        what = ["--tuned", folder / name]
    else:
        what = ["--generations", *sorted((folder / name).glob("generation-*.json"))]
    measures = ["--extractors", *(tiny_run.folder / f"{e}.safetensors" for e in ("cnn", "mlp"))]
    measures += ["--references", *(tiny_run.folder / f"{part}.{e}.h5" for e in ("cnn", "mlp"))]
    output = output or folder / f"{name}-trace.json"
    common = ["--baselines", folder / "baselines.json", "--timings", folder / f"{name}.json", "--output", output]
    lcsc(tiny_run, "trace", *what, *measures, *common, *further, expected=expected, **{**TRACE, "name": name})
    return read_json(output, kind="trace") if expected == 0 else None


def check_distances(tiny_run, point, record):
    context = tiny_run.context()
    for name in ("cnn", "mlp"):
        evaluator = context.evaluator(tiny_run.extractor(name), tiny_run.reference(name, "held-out"), "report", 50)
        expected = evaluator.score(weights.load(record, tiny_run.bank)).value
        assert point["distances"][f"{name}/held-out"] == pytest.approx(expected, rel=1e-6)


def test_a_search_on_fresh_noise_by_hand(tiny_run, folder):
    record = run_trace(tiny_run, folder, "adam")
    last = read_json(folder / "adam" / "generation-0004.json", kind="generation")
    first, end = record["points"][0], record["points"][-1]
    assert (first["evaluations"], first["gradients"], first["generation"]) == (3, 0, 0)
    assert first["equivalents"] == pytest.approx(1.5)  # of 60 images each, where 120 are one
    assert (end["evaluations"], end["gradients"], end["generation"]) == (3, 4, 4)
    assert end["equivalents"] == pytest.approx((3 + 4 * record["gradient_cost"]) / 2)
    assert record["gradient_cost"] > 1
    assert 0 < first["seconds"] < end["seconds"]
    check_distances(tiny_run, end, {"kind": "coefficients", "groups": "all", **last["candidates"][0]})
    assert [step["fresh"] for step in record["course"]][-1]
    best = read_json(folder / "baselines.json", kind="baselines")
    check_distances(tiny_run, record["base"], entry_of(best, best["chosen"]["ema"])["weights"])


def entry_of(baselines, name):
    return next(entry for entry in baselines["entries"] if entry["name"] == name)


def test_a_race_with_looks_by_hand(tiny_run, folder):
    record = run_trace(tiny_run, folder, "race")
    assert record["gradient_cost"] is None
    chain = [read_json(folder / "race" / f"generation-{n:04d}.json", kind="generation") for n in range(3)]
    items = [candidate for generation in chain for candidate in generation["candidates"]]
    looks = sum("look" in generation for generation in chain)
    expected = len(items) / 3 + sum("raced" not in each for each in items) + looks / 2
    assert looks == 3
    assert record["points"][-1]["evaluations"] == pytest.approx(expected)
    assert record["points"][-1]["search_score"] == min(each["score"] for each in items if each["score"] is not None)
    assert len({point["equivalents"] for point in record["points"]}) == len(record["points"])


def test_a_fine_tuning_is_seen_at_the_rate_that_selection_chose(tiny_run, folder):
    record = run_trace(tiny_run, folder, "best")
    baselines = read_json(folder / "baselines.json", kind="baselines")
    scored = [entry for entry in baselines["entries"] if entry["name"].startswith("best ")]
    rate = min(scored, key=lambda entry: entry["score"])["parameter"]
    assert {point["rate"] for point in record["points"]} == {rate}
    assert [point["gradients"] for point in record["points"]] == [0, 1, 2, 3, 4]
    assert record["family"] == "tuned"
    start, end = record["points"][0], record["points"][-1]
    assert start["equivalents"] == 4  # last, uniform and two rates, on as many images as a search's
    seconds = read_json(folder / "best.json", kind="timing")["parts"]["1e-2" if rate == 0.01 else "1e-30"]
    assert end["seconds"] - start["seconds"] == pytest.approx(seconds)
    assert end["equivalents"] - start["equivalents"] == pytest.approx(4 * record["gradient_cost"] * 30 / 120)
    check_distances(tiny_run, end, entry_of(baselines, f"best {'1e-2' if rate == 0.01 else '1e-30'} 4")["weights"])
    for key, best in record["hindsight"].items():
        assert best["distance"] <= min(point["distances"][key] for point in record["points"][1:])
        assert best["distance"] == best["distances"][key]


def test_a_fine_tuning_after_a_search_counts_its_work(tiny_run, folder, capsys):
    before = run_trace(tiny_run, folder, "adam", output=folder / "before.json")
    record = run_trace(tiny_run, folder, "after", "--after", folder / "before.json")
    start, last = record["points"][0], before["points"][-1]
    assert [start[key] for key in ("gradients", "seconds")] == [last[key] for key in ("gradients", "seconds")]
    assert record["family"] == "tuned-search"
    run_trace(tiny_run, folder, "after", output=folder / "none.json", expected=2)
    assert "found the trace of None, expected that of 'adam'" in capsys.readouterr().err


def test_statistics_of_training_images_are_refused(tiny_run, folder, capsys):
    run_trace(tiny_run, folder, "adam", output=folder / "none.json", expected=2, part="train")
    assert "expected those of the held-out images" in capsys.readouterr().err


def test_a_search_without_its_journal_is_refused(tiny_run, folder, tmp_path, capsys):
    for name in ("adam.json", "baselines.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "adam").mkdir()
    for path in (folder / "adam").glob("generation-*.json"):
        (tmp_path / "adam" / path.name).write_bytes(path.read_bytes())
    run_trace(tiny_run, tmp_path, "adam", expected=2)
    assert "expected the search's journal, which stays where the search ran" in capsys.readouterr().err
    (tmp_path / "adam" / "journal").mkdir()
    run_trace(tiny_run, tmp_path, "adam", expected=2)
    assert "lacks a score of the search" in capsys.readouterr().err
