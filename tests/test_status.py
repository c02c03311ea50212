"""How far a run is, told from made-up files at each stage."""

import json
import os

import pytest

from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.status import words
from lcsc.status.reading import Step, runs_in, steps_of

NOW = 1_700_000_000.0
PROGRESS = "2026-01-01 10:00:00,000 INFO evaluations of this round 3/50 (6%) · generation 1 · ETA 0:30"


@pytest.fixture
def place(tmp_path):
    """A run that is trained and collected, and in the middle of its search."""
    run, logs = tmp_path / "results" / "digits", tmp_path / "logs" / "digits"
    for folder in ("train/constant", "bank", "search/gradient/journal"):
        (run / folder).mkdir(parents=True)
    logs.mkdir(parents=True)
    (tmp_path / "results" / "shared").mkdir()
    (run / "train/constant/manifest.json").write_text("{}")
    (run / "bank/index.json").write_text("{}")
    generation(run, 0, [("ema-shaped 0.9", 120.0), ("ema-shaped 0.97", 100.0), ("last", 300.0)])
    generation(run, 1, [("line search", 40.0), ("line search", None)])
    log(logs / "search-gradient-0000.log", f"{PROGRESS}\n2026-01-01 10:00:01,000 DEBUG seconds 3")
    return run, tmp_path / "logs"


def generation(run, number, found, search="gradient"):
    candidates = [{"origin": origin, "score": score, "coefficients": [[1.0]]} for origin, score in found]
    path = run / "search" / search / f"generation-{number:04d}.json"
    path.write_text(json.dumps({"candidates": candidates}))


def log(path, text, age=1.0):
    path.write_text(text, encoding="utf-8")
    os.utime(path, (NOW - age, NOW - age))


def found(place):
    run, logs = place
    return {step.name: step for step in steps_of(run, logs / run.name, NOW)}


def test_steps_are_done_working_or_waiting(place):
    steps = found(place)
    assert [name for name, step in steps.items() if step.state == "done"] == ["train constant", "collect"]
    assert steps["search gradient"].state == "working"
    assert steps["search gradient"].detail == (
        "generation 1 · best 40, best EMA-shaped start 100 (0.40×) · "
        "evaluations of this round 3/50 (6%) · generation 1 · ETA 0:30"
    )
    assert {steps[name].state for name in ("baselines", "select gradient", "evaluate", "report")} == {"waiting"}


def test_a_step_that_says_nothing_for_long_names_its_log(place):
    _, logs = place
    log(logs / "digits" / "search-gradient-0000.log", PROGRESS, age=1200.0)
    detail = found(place)["search gradient"].detail
    assert "silent for 20 min, see" in detail
    assert detail.endswith("search-gradient-0000.log")
    log(logs / "digits" / "search-gradient-0000.log", "2026-01-01 10:00:00,000 INFO wrote x", age=1200.0)
    assert "silent" not in found(place)["search gradient"].detail


FAILED = "2026-01-01 10:00:02,000 ERROR error: bank: not found; make it"


@pytest.mark.parametrize("name", ["baselines", "train-constant", "tune-adam", "select-gradient", "evaluate", "export"])
def test_a_step_whose_log_ends_in_an_error_has_failed(place, name):
    run, logs = place
    (run / "train/constant/manifest.json").unlink()
    path = logs / "digits" / f"{name}.log"
    log(path, f"{PROGRESS}\n2026-01-01 10:00:01,000 DEBUG failed after 1.0 s\n{FAILED}\n", age=1200.0)
    (step,) = (step for step in found(place).values() if step.state == "failed")
    assert step.name == name.replace("-", " ").replace("tune", "fine-tune")
    assert step.detail == f"bank: not found; make it · see {path}"
    log(path, PROGRESS)  # the next try writes anew
    assert found(place)[step.name].state == "working"


def test_a_failed_step_that_was_made_after_all_is_done(place):
    _, logs = place
    log(logs / "digits" / "collect.log", FAILED)
    assert found(place)["collect"].state == "done"


def test_a_search_whose_job_failed_has_failed(place, capsys):
    run, logs = place
    path = logs / "digits" / "search-new-0000.log"
    log(path, FAILED)
    assert found(place)["search new"] == Step("search new", "failed", f"bank: not found; make it · see {path}")
    # One of several shards, while another is at work.
    shard = logs / "digits" / "search-gradient-0002.forward-2.log"
    log(shard, FAILED, age=60.0)
    step = found(place)["search gradient"]
    assert step.state == "failed"
    assert step.detail.startswith(f"bank: not found; make it · see {shard} · generation 1 · best 40, ")
    assert main(["status", str(run), "--logs", str(logs)]) == 0
    shown = capsys.readouterr().out
    assert "digits: 2 of 10 steps done, 2 failed" in shown
    assert "✗ search new" in shown


def test_the_newest_round_speaks_and_shards_belong_to_their_search(place):
    _, logs = place
    log(logs / "digits" / "search-gradient-0020.log", PROGRESS.replace("3/50", "7/50"), age=0.0)
    log(logs / "digits" / "search-gradient-tensor-0000.forward-2.log", PROGRESS, age=0.0)
    steps = found(place)
    assert "7/50" in steps["search gradient"].detail
    assert "3/50" in steps["search gradient-tensor"].detail
    assert "search gradient-0020" not in steps


def test_a_selected_search_is_done_and_a_file_half_written_is_left_out(place):
    run, _ = place
    (run / "search/gradient/generation-0002.json").write_text('{"candidates": [{"sco')
    (run / "search/gradient/selection.json").write_text("{}")
    steps = found(place)
    assert steps["select gradient"].state == "done"
    assert steps["search gradient"].state == "done"
    assert steps["search gradient"].detail.startswith("generation 2 · best 40,")


def test_all_runs_are_shown_and_what_is_shared_is_none(place, capsys):
    run, logs = place
    assert [path.name for path in runs_in(run.parent)] == ["digits"]
    assert main(["status", "--results", str(run.parent), "--logs", str(logs)]) == 0
    shown = capsys.readouterr().out
    assert "digits: 2 of 8 steps done" in shown
    assert "▶ search gradient" in shown


def test_watching_prints_what_is_new_and_ends_when_all_is_done(place, capsys, monkeypatch):
    run, logs = place

    def finish(seconds):
        for name in ("baselines.json", "evaluation.json", "export/recipe.json", "report/report.html"):
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text("{}")
        (run / "search/gradient/selection.json").write_text("{}")

    monkeypatch.setattr(words.time, "sleep", finish)
    assert main(["status", str(run), "--logs", str(logs), "--watch", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("  ✓ collect") == 1
    assert "digits: 8 of 8 steps done" in lines


def test_what_is_not_there_is_said_in_one_line(tmp_path, capsys):
    assert main(["status", "--results", str(tmp_path / "none")]) == 2
    assert "found no runs" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected the results folder of a run"):
        steps_of(tmp_path / "digits", tmp_path)


def test_lines_are_cut_to_the_terminal(place):
    run, logs = place
    text = words.text_of("digits", steps_of(run, logs / "digits", NOW), 40)
    assert max(map(len, text.splitlines())) == 40
