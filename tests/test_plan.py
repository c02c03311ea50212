"""The schedule, the forecast, and `lcsc plan` on a small run."""

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_workflow import CONFIG

from lcsc import cli
from lcsc.config import resolve
from lcsc.plan import work
from lcsc.plan.forecast import Forecast, Machine, Speeds
from lcsc.plan.schedule import Job, makespan

SPEEDS = Speeds(
    begin=2.0,
    evaluation=0.1,
    image=0.001,
    extractor=0.0005,
    gradient=0.2,
    gradient_image=0.004,
    bank=1e9,
    training=0.01,
    classifiers={"cnn": 0.1},
)
SIZES = (10, 1000)


@pytest.fixture(scope="module")
def config():
    return resolve(CONFIG)


def forecast(config, slots=2, **changes):
    return Forecast(config, "tiny", SIZES, replace(SPEEDS, **changes), Machine("here", slots))


def test_jobs_wait_for_what_they_need_and_for_slots():
    jobs = [Job("a", 3), Job("b", 2), Job("c", 1, 2, ("a",)), Job("d", 4, 1, ("b",))]
    assert makespan(jobs, 2) == 2 + 4 + 1  # d takes the slot that c needs
    assert makespan(jobs, 3) == 6
    assert makespan(jobs, 1) == 10


@given(st.lists(st.floats(0, 10), min_size=1, max_size=12), st.integers(1, 4))
def test_a_schedule_lies_between_its_bounds(seconds, slots):
    jobs = [Job(str(place), took) for place, took in enumerate(seconds)]
    found = makespan(jobs, slots)
    ideal = max(max(seconds), sum(seconds) / slots)
    assert ideal - 1e-9 <= found <= (2 - 1 / slots) * ideal + 1e-9  # Graham 1966


def test_what_never_can_begin_is_refused():
    with pytest.raises(ValueError, match="nothing can begin: a"):
        makespan([Job("a", 1, 1, ("none",))], 2)


def test_seconds_of_work_add_up(config):
    plan = forecast(config, slots=1)
    passed = 4 * 10 * 1000 / 1e9
    assert plan.seconds(work.Work(3, 100)) == pytest.approx(3 * (0.1 + passed) + 300 * 0.001)
    assert plan.seconds(work.Work(2, 100, measures=2)) == pytest.approx(2 * (0.2 + passed) + 200 * 0.0015)
    assert plan.seconds(work.Work(0, 0, 5, 10)) == pytest.approx(5 * (0.2 + 2 * passed) + 50 * 0.004)
    assert forecast(config, slots=4).seconds(work.Work(3, 100)) == pytest.approx(plan.seconds(work.Work(3, 100)) / 4)


def test_workers_share_the_images_of_a_gradient_and_wait_for_the_rest(config):
    passed = 4 * 10 * 1000 / 1e9
    plan = forecast(config, slots=4)
    assert plan.seconds(work.Work(0, 0, 5, 10)) == pytest.approx(5 * (0.2 + 2 * passed) + 50 * 0.004 / 4)
    own = replace(plan, speeds=replace(SPEEDS, own={"pixels": (0.3, 0.008)}))
    assert own.seconds(work.Work(0, 0, 5, 10), "pixels") == pytest.approx(5 * (0.3 + 2 * passed) + 50 * 0.008 / 4)
    assert own.seconds(work.Work(0, 0, 5, 10), None) == plan.seconds(work.Work(0, 0, 5, 10))


def test_every_job_of_the_run_is_there_and_waits_for_others_that_are(config):
    jobs = list(forecast(config).jobs())
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert {name for job in jobs for name in job.after} <= set(names)
    expected = {"train-constant", "train-decayed", "train-continued", "search-evolution", "select-tensor", "tune-adam"}
    assert expected <= set(names)
    seconds = {job.name: job.seconds for job in jobs}
    assert seconds["train-constant"] == pytest.approx(2.0 + 40 * 0.01)
    assert seconds["extractor-cnn"] == pytest.approx(2.0 + 20 * 0.1)


def test_more_slots_never_take_longer_and_slower_images_do(config):
    assert forecast(config, slots=8).total() <= forecast(config, slots=1).total()
    assert forecast(config, image=0.1).total() > forecast(config).total()


def test_a_small_run_is_planned_here_and_on_gpus(tmp_path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    words = ["--device", "cpu", "--cores", "2", "--gpus", "4", "--images-per-second", "50", "--json", "--quiet"]
    assert cli.main(["plan", str(path), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    here, gpus = found["plans"]
    assert found["checkpoints"] == 10
    assert here["bank_bytes"] == 4 * 10 * found["parameters"]
    assert gpus["images_per_second"] == pytest.approx(50)
    assert 0 < here["generation_seconds"]["evolution"] < gpus["generation_seconds"]["evolution"]
    assert gpus["generation_seconds"]["evolution"] == pytest.approx(6 * 64 / 50, rel=0.2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpus", "2"], "expected both or neither"),
        (["--images-per-second", "2"], "expected both or neither"),
        (["--run", "none"], "expected one of tiny"),
    ],
)
def test_wrong_words_are_refused(tmp_path, capsys, words, said):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    assert cli.main(["plan", str(path), "--device", "cpu", *words]) == 2
    assert said in capsys.readouterr().err
