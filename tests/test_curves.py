"""Curves and costs over runs, and the benchmark's targets: numbers are those of the traces."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bench import bench_search
from records import rewrite
from report_records import LEVELS, SEARCH_LEVELS, make_run

from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.files import write_json
from lcsc.report.costs import costs_data, costs_text
from lcsc.report.courses import read_run, read_runs
from lcsc.report.figures.curves import over_runs

SEARCHES = ("evolution", "gradient", "gradient-tensor")
EMA = LEVELS["ema"][2]
BASE = {"cnn/held-out": EMA[0], "mlp/held-out": EMA[2]}
Course = Sequence[tuple[float, float]]


def spent(work: float) -> dict[str, float]:
    return {"evaluations": work, "gradients": work / 4, "equivalents": 2 * work, "seconds": work / 10}


def write_trace(folder: Path, name: str, course: Course, family: str = "search", **further: Any) -> None:
    """A trace whose distances over the best EMA's, by both extractors, and scores are those of ``course``."""
    points = [{**spent(work), "distances": {k: v * level for k, v in BASE.items()}} for work, level in course]
    scores = [{**spent(work), "search_score": 100 * level, "fresh": False} for work, level in course]
    record = {"name": name, "family": family, "unit": 2000, "search_protocol": "ef" * 32, **further}
    record |= {"base": {"label": "EMA 0.97", "distances": BASE}, "points": points, "course": scores}
    place = "search" if family == "search" else "tune"
    write_json(folder / place / name / "trace.json", record, kind="trace")


def traced(folder: Path, *, run: str, factor: float = 1.0, seconds: float = 1.0) -> Path:
    make_run(folder, run=run, searches=SEARCHES, generations=1, population=2, factor=factor)
    write_trace(folder, "evolution", [(30, 1.0), (600, 0.8), (1500, 0.5 * factor)])
    write_trace(folder, "gradient", [(10, 1.0), (40 * seconds, 0.5 * factor), (80, 0.3 * factor)])
    write_trace(folder, "gradient-tensor", [(10, 1.0), (90, 0.2 * factor)])
    best = {key: {"distance": 0.25 * value, "rate": 0.1} for key, value in BASE.items()}
    write_trace(folder, "adam", [(10, 1.0), (50, 0.6)], "tuned", hindsight=best)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [traced(tmp_path / f"seed-{n}", run=f"seed-{n}", factor=1 + n / 10) for n in range(3)]


def test_a_line_is_the_median_of_courses_that_hold_their_last_value() -> None:
    line = over_runs([[(1, 9.0), (10, 5.0)], [(2, 8.0), (4, 4.0)], [(1, 7.0), (5, 6.0), (20, 1.0)]])
    assert (line.work[0], line.work[-1]) == (2, 10)
    values = {work: (low, middle, high) for work, low, middle, high in zip(
        line.work, line.low, line.middle, line.high, strict=True
    )}  # fmt: skip
    assert values[2] == (7, 8, 9)
    assert values[4] == (4, 7, 9)
    assert values[5] == (4, 6, 9)
    assert values[10] == (4, 5, 6)
    assert over_runs([[(3, 2.0)]]).work == (3,)


def test_the_command_writes_figure_and_table(folders: list[Path], tmp_path: Path, capsys) -> None:
    assert main(["curves", *map(str, folders), "--output", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"curves.svg", "curves.png", "curves.csv", "costs.txt", "costs.csv"}
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "costs.txt").read_text().strip()
    rows = list(csv.DictReader((tmp_path / "out" / "curves.csv").read_text().splitlines()))
    last = [row for row in rows if (row["method"], row["column"]) == ("gradient", "mlp/held-out")]
    by_axis = {row["axis"]: row for row in last}
    assert float(by_axis["equivalents"]["work"]) == 160
    assert float(by_axis["seconds"]["work"]) == 8
    numbers = [float(by_axis["seconds"][key]) for key in ("median", "smallest", "largest")]
    assert numbers == pytest.approx([0.33, 0.3, 0.36])
    assert {row["method"] for row in rows} == {*SEARCHES, "adam"}
    svg = (tmp_path / "out" / "curves.svg").read_text()
    again = main(["curves", *map(str, folders), "--output", str(tmp_path / "again")])
    assert (again, (tmp_path / "again" / "curves.svg").read_text()) == (0, svg)


def test_costs_are_those_of_whole_searches(folders: list[Path]) -> None:
    runs = read_runs(folders)
    data = costs_data(runs)
    rows = {row[0]: dict(zip(data.header, row, strict=True)) for row in data.rows}
    found = rows["evolution"]
    expected = [factor * SEARCH_LEVELS[2] / EMA[2] for factor in (1.1, 1.0, 1.2)]
    numbers = [found[f"mlp/held-out {word}"] for word in ("median", "smallest", "largest")]
    assert numbers == pytest.approx(expected)
    assert [found[key] for key in ("evaluations", "gradients", "equivalents", "seconds")] == [1500, 375, 3000, 150]
    assert found["gain_kept"] == 0.62
    assert rows["last"]["seconds"] is None
    text = costs_text(runs)
    assert text.splitlines()[0] == "Held-out images, 3 runs"
    table = [line for line in text.splitlines() if "LCSC" in line or "Last" in line]
    assert len({len(line) for line in table}) == 1  # aligned


def test_the_shown_fine_tuning_is_the_one_whose_weights_the_evaluation_has(tmp_path: Path) -> None:
    folder = traced(tmp_path, run="a")
    write_trace(folder, "other", [(5, 1.0)], "tuned")
    record = json.loads((folder / "evaluation.json").read_text())
    method = {**record["methods"][0], "name": "tuned", "family": "tuned"}
    method["weights"] = {"kind": "file", "path": "results/a/tune/other/weights/x.safetensors", "sha256": "0"}
    record["methods"].append(method)
    rewrite(folder / "evaluation.json", record)
    shown = read_run(folder).shown("tuned")
    assert shown is not None
    assert shown.name == "other"


def test_runs_without_traces_or_given_twice_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "a", generations=1, population=2)
    with pytest.raises(InputError, match=r"found no trace.json, expected one for each search"):
        read_runs([tmp_path / "a"])
    with pytest.raises(InputError, match="found a run twice"):
        read_runs([tmp_path / "a", tmp_path / "a"])
    write_trace(tmp_path / "a", "evolution", [])
    with pytest.raises(InputError, match=r"points: found \[\], expected at least one point"):
        read_runs([tmp_path / "a"])


def test_steps_needed_lie_on_lines_in_the_logarithms() -> None:
    trainings = [(4000, 25.0), (1000, 100.0), (2000, 50.0)]  # distance 100,000 / steps
    assert bench_search.steps_needed(40.0, trainings) == pytest.approx(2500)
    assert bench_search.steps_needed(200.0, trainings) == 1000
    assert math.isinf(bench_search.steps_needed(24.0, trainings))
    bumpy = [(1000, 100.0), (2000, 120.0), (4000, 60.0)]
    assert 2000 < bench_search.steps_needed(90.0, bumpy) < 4000


def test_the_targets_compare_what_the_traces_and_records_say(folders: list[Path], capsys) -> None:
    runs = [bench_search.read(folder) for folder in folders]
    searched = next(column for column in runs[0].traced.columns if column.searched)
    assert [bench_search.seconds_to_reach(run) for run in runs] == pytest.approx([4 / 150] * 3)
    within = bench_search.within_equivalents(runs[0], searched)  # 80 of work are 160 equivalents
    assert within == pytest.approx(0.5 / (SEARCH_LEVELS[0] / EMA[0]))
    assert bench_search.tuned_in_hindsight(runs[0], searched) == pytest.approx(0.25)
    bench_search.main(folders)
    lines = capsys.readouterr().out.splitlines()
    reach = next(line for line in lines if line.startswith("seconds of gradient"))
    assert reach.split()[-3:] == ["0.0267", "0.0267–0.0267", "met"]
    tensor = [line for line in lines if line.startswith("gradient-tensor ÷ gradient")]
    assert len(tensor) == 2
    assert all(line.endswith("NOT MET") for line in tensor)  # 1.2 / 1.1 in the records
    assert (
        sum("not measured" in line for line in lines) == 2
    )  # of the rate chosen alike: the evaluations show no fine-tuning
    assert next(line for line in lines if "not measured" in line).endswith("evaluated no tuned)")


def test_plain_trainings_that_never_match_are_said_so(tmp_path: Path, capsys) -> None:
    folders = [make_plain(tmp_path, 1000, 1.0), make_plain(tmp_path, 32000, 0.9)]
    bench_search.main(folders)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("plain steps")]
    assert len(lines) == 2
    assert all("> 32,000" in line and line.endswith(" met") for line in lines)


def make_plain(tmp_path: Path, steps: int, level: float) -> Path:
    """A run whose last checkpoint is at ``steps`` and whose best EMA's distances are ``level`` of the usual."""
    folder = traced(tmp_path / f"plain-{steps}", run=f"plain-{steps}")
    record = json.loads((folder / "evaluation.json").read_text())
    record["steps"][-1] = steps
    for method in record["methods"]:
        if method["name"] == "ema":
            for column in method["columns"].values():
                column["mean"] *= level
    rewrite(folder / "evaluation.json", record)
    return folder
