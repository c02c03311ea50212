"""Counts of the work of jobs, and the memory and time they ask for."""

import copy
import json
import re

import pytest
from small_workflow import CONFIG, REPOSITORY, run_workflow, small_config

from lcsc.config import load_config, resolve
from lcsc.plan import resources, work
from lcsc.plan.work import Work


@pytest.fixture(scope="module")
def digits():
    return load_config(REPOSITORY / "config" / "config.yaml")["runs"]["digits"]


def test_the_main_job_is_counted_as_it_was_run(digits):
    """Evaluations and images as the timings of a real run recorded them."""
    assert work.checkpoints(digits) == 40
    assert work.of_baselines(digits) == Work(172, 10_000)
    assert work.of_evaluation(digits) == Work(88 * 3, 10_000, measures=2)
    assert work.of_search(digits, "evolution").evaluations == 1500
    gradient, pixels = (work.of_search(digits, name) for name in ("gradient", "gradient-pixels"))
    assert (gradient.evaluations + gradient.gradients, gradient.gradient_images) == (70, 2000)
    assert (pixels.evaluations + pixels.gradients, pixels.gradient_images) == (100, 1000)
    assert work.of_tuning(digits, "adam").carried_back == 220_000
    assert work.of_tuning(digits, "span").carried_back == 95_000


def test_rounds_add_up_to_the_search(digits):
    whole = work.of_search(digits, "evolution")
    parts = [work.of_search(digits, "evolution", count, first) for first, count in ((0, 20), (20, 20), (40, 10))]
    assert sum(part.evaluations for part in parts) == whole.evaluations
    assert work.longest_round(digits, "evolution").evaluations == 600


@pytest.mark.parametrize(
    ("changes", "evaluations"),
    [
        ({"evaluations": 100}, 100),
        ({"racing": {"images": 500, "keep": 0.25}}, 750),
        ({"generations": 10}, 300),
        ({"method": "greedy-soup", "generations": 60}, 40 + 59),
        ({"method": "transfer", "generations": 1, "population": None}, 1),
    ],
)
def test_what_changes_the_number_of_evaluations(digits, changes, evaluations):
    run = copy.deepcopy(digits)
    run["searches"]["evolution"] |= changes
    assert work.of_search(run, "evolution").evaluations == evaluations


def test_shards_share_the_work(digits):
    run = copy.deepcopy(digits)
    run["searches"]["evolution"] |= {"shards": 4}
    run["searches"]["gradient"] |= {"shards": 4}
    assert work.of_share(run, "evolution").evaluations == 8
    assert work.of_share(run, "gradient").gradient_images == 500


@pytest.mark.parametrize(
    ("sampler", "evaluations"),
    [
        ({"kind": "consistency", "sigmas": [80.0, 1.0]}, 2),
        ({"kind": "consistency", "ts": [0, 17, 39], "steps": 40}, 2),
        ({"kind": "heun", "steps": 18}, 36),
        ({"kind": "dpm-solver++", "steps": 15}, 15),
    ],
)
def test_network_evaluations(digits, sampler, evaluations):
    assert work.network_evaluations({**digits, "sampler": sampler}) == evaluations
    one = {**digits, "sampler": {"kind": "euler", "steps": 1}}
    assert resources.rate(one, "cpu") == pytest.approx(
        resources.rate({**digits, "sampler": sampler}, "cpu") * evaluations
    )


def test_sizes_are_the_bank_s_as_soon_as_there_is_one(digits, tmp_path):
    index = tmp_path / "index.json"
    assert resources.bank_sizes(index, digits) == (40, resources.USUAL_PARAMETERS)
    expected = {**digits, "resources": {"parameters": 7, "images_per_second": None}}
    assert resources.bank_sizes(index, expected) == (40, 7)
    index.write_text(json.dumps({"checkpoints": [{}, {}, {}], "parameters": 5}))
    assert resources.bank_sizes(index, expected) == (3, 5)
    index.write_text("{")
    assert resources.bank_sizes(index, expected) == (40, 7)


def test_memory_covers_the_main_job_s_peaks_and_grows_with_the_bank(digits):
    # Peaks in MB of a real run with two workers (timings): 857 a search, 965 the final evaluation, 797 the training.
    parameters = 490_000
    found = resources.scoring_mb(digits, (40, parameters), "cpu", 2)
    assert 1.2 * 965 < found < 4000
    assert 1.2 * 797 < resources.training_mb(digits, "cpu", parameters) < 4000
    larger = resources.scoring_mb(digits, (40, 50_000_000), "cpu", 2)
    assert larger - found > 2 * 4 * 40 * (50_000_000 - parameters) / resources.MB
    huge = resources.bank_mb(200, 296_000_000, 5)  # 237 GB: streamed, so little more than the candidates
    assert 5 * 4 * 296_000_000 < huge * resources.MB < 7 * 4 * 296_000_000
    assert resources.scoring_mb(digits, (40, parameters), "cpu", 2, gradients=True) > found
    assert resources.scoring_mb(digits, (40, parameters), "cuda", 8) < resources.scoring_mb(
        digits, (40, parameters), "auto", 8
    )


def test_a_large_bank_is_collected_and_exported_in_its_time():
    # 200 checkpoints of ImageNet 64's network, 237 GB, at 50 MB/s: read, checked and written once each.
    minutes = resources.collecting_minutes(200, 296_000_000)
    assert minutes * 60 > 3 * 237e9 / 50e6
    assert minutes < 6 * 60
    assert resources.collecting_minutes(40, 490_000) < 30
    assert resources.collecting_mb(296_000_000) * resources.MB > 4 * 4 * 296_000_000


def test_statistics_and_extractors_follow_the_images_and_the_extractor(tmp_path):
    small, large = {"kind": "classifier", "dimension": 32}, {"kind": "inception"}
    digits, imagenet = (1198, (1, 8, 8), "cpu"), (1_281_167, (3, 64, 64), "cpu")
    # Peaks in MB of the main job (benchmarks): 845 for its statistics, 966 for its extractors.
    assert 1.2 * 845 < resources.reference_mb(small, *digits) < 4000
    assert resources.reference_mb(large, *imagenet) * resources.MB > 2 * 4 * 2048 * 1_281_167
    assert resources.reference_minutes(1_281_167, "cuda") > 100
    assert resources.reference_minutes(1198, "cpu") < 30
    training = {"kind": "classifier", "dimension": 32, "steps": 1500, "batch": 128}
    assert 1.2 * 966 < resources.extractor_mb(training, *digits) < 4000
    assert resources.extractor_mb(training, *imagenet) * resources.MB > 2 * 4 * 3 * 64 * 64 * 1_281_167
    assert resources.extractor_minutes({**training, "steps": 150_000}, "cpu") > 50 * resources.extractor_minutes(
        training, "cpu"
    )
    images = tmp_path / "train.npz"
    assert resources.image_count(images, (1, 8, 8)) == resources.USUAL_IMAGES
    images.write_bytes(bytes(64 * 10 + 63))
    assert resources.image_count(images, (1, 8, 8)) == 10


def test_rules_ask_for_what_the_sizes_need(tmp_path):
    config = small_config()
    config["defaults"]["resources"] = {"parameters": 50_000_000}
    said = run_workflow(tmp_path, config, "--dry-run", "--quiet", "host").stdout
    found = {}
    for job in re.split(r"\n\[", said):
        if rule := re.search(r"^(?:local)?rule (\w+):$", job, re.MULTILINE):
            found[rule[1]] = {key: int(n) for key, n in re.findall(r"\b(mem_mb|runtime)=(\d+)", job)}
    bank = {"mem_mb": resources.collecting_mb(50_000_000), "runtime": resources.collecting_minutes(10, 50_000_000)}
    assert found["collect_checkpoints"] == found["export_tiny"] == bank
    images, shape = resources.USUAL_IMAGES, (1, 8, 8)  # none are there yet
    mlp = config["extractors"]["mlp"] | {"kind": "classifier"}
    statistics = {"mem_mb": resources.reference_mb(mlp, images, shape, "cpu")}
    assert found["reference_statistics"] == statistics | {"runtime": resources.reference_minutes(images, "cpu")}
    training = {"mem_mb": resources.extractor_mb(mlp, images, shape, "cpu")}
    assert found["train_extractor"] == training | {"runtime": resources.extractor_minutes(mlp, "cpu")}


def test_minutes_follow_the_stated_speed(digits):
    stated = {**digits, "resources": {"parameters": None, "images_per_second": 10.0}}
    done = Work(0, 0, gradients=10, gradient_images=600)
    spent = [resources.minutes(run, "cpu", done) - resources.BEGIN_MINUTES for run in (digits, stated)]
    assert spent[1] >= 60
    assert spent[0] < spent[1]


def test_what_a_scheduler_is_asked_for_changes_no_setting():
    from lcsc.config import step_settings

    plain, stated = copy.deepcopy(CONFIG), copy.deepcopy(CONFIG)
    stated["defaults"]["resources"] = {"parameters": 10, "images_per_second": 5}
    one, other = resolve(plain), resolve(stated)
    assert other["runs"]["tiny"]["resources"] == {"parameters": 10, "images_per_second": 5.0}
    for step, name in (("train", None), ("baselines", None), ("search", "evolution"), ("evaluate", None)):
        assert step_settings(one, "tiny", step, name=name) == step_settings(other, "tiny", step, name=name)


@pytest.mark.parametrize(
    ("cores", "runs", "threads", "expected"),
    [(2, 1, 1, 2), (16, 1, 1, 8), (2, 78, 1, 1), (16, 3, 1, 5), (2, 5, 2, 2), (None, 78, 1, 8), (None, 1, 12, 12)],
)
def test_runs_share_the_cores_of_one_machine(cores, runs, threads, expected):
    assert resources.scoring_cores(cores, runs, threads) == expected


def test_a_best_single_checkpoint_costs_a_score_for_each(digits):
    run = copy.deepcopy(digits)
    run["baselines"]["singles"] = False
    assert work.of_baselines(run).evaluations == work.of_baselines(digits).evaluations - 40
    assert work.of_evaluation(run).evaluations == work.of_evaluation(digits).evaluations - 3


def test_averages_in_hindsight_cost_a_row_each(digits):
    run = copy.deepcopy(digits)
    run["evaluation"]["report"]["hindsight"] = False
    grids, train, blocks = digits["baselines"], digits["train"], digits["evaluation"]["report"]["blocks"]
    averages = len(grids["ema_shaped"]) + len(grids["post_hoc"]) * (2 if train.get("power_ema") else 1)
    fewer = work.of_evaluation(digits).evaluations - work.of_evaluation(run).evaluations
    assert fewer == (averages + len(train["ema_rates"])) * blocks
