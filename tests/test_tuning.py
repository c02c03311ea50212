"""Fine-tuning of all weights: Adam's steps, the start, milestones, and going on after a kill."""

import json
import math

import numpy as np
import pytest
import torch
from exact import exact_evaluator, whole_gradient
from tiny import SCORING

from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.files import read_json
from lcsc.gradients import GradientEvaluator, ScoredGradient
from lcsc.scoring import score_candidates
from lcsc.search import Scored, SearchSpace, make_search
from lcsc.tuning import step as tuning_step
from lcsc.tuning import tuned
from lcsc.tuning.files import JOURNAL, MANIFEST, TuningJournal, exponent, run_all
from lcsc.tuning.tuning import Tuning, best_average, milestones, noise_iteration, searched_start

pytestmark = pytest.mark.usefixtures("one_thread")

TUNE = {
    "start": "best-average", "rates": [0.001, 0.01], "gradients": 3, "noise": "fresh", "decay": False,
    "betas": [0.9, 0.99], "initial_rates": [0.8, 0.9],
}  # fmt: skip
SETTINGS = {**SCORING, "images": 60, "search_images": 80, "name": "adam", "tune": TUNE}


def measures(tiny_run):
    return tiny_run.context(), tiny_run.extractor("cnn"), tiny_run.reference("cnn")


def step(tiny_run, output, selection=None, **changed):
    settings = {**SETTINGS, "tune": {**TUNE, **changed}}
    return tuning_step.run(*measures(tiny_run), settings, selection, output)


def content(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Valley:
    """A distance of (w - 1)² / 2 in each weight; ``bad`` gradients, counted from 0, are not finite."""

    def __init__(self, bad=(), killed_at=None, scale=1.0):
        self.bad, self.killed_at, self.scale, self.iterations = bad, killed_at, scale, []

    def __call__(self, iteration):
        if len(self.iterations) == self.killed_at:
            raise KeyboardInterrupt
        self.iterations.append(iteration)
        return self

    def value_and_gradient(self, weights):
        if len(self.iterations) - 1 in self.bad:
            return ScoredGradient(Score(None, "the gradient is not finite"), None)
        away = weights.astype(np.float64) - 1
        return ScoredGradient(Score(float((away * away).sum() / 2)), self.scale * away)


@pytest.mark.parametrize("decay", [False, True])
def test_the_steps_are_those_of_adam_on_the_gradient_of_one_graph(tiny_run, decay):
    evaluators = {i: exact_evaluator(tiny_run, images=20 + i) for i in (1, 2, 3)}
    start = tiny_run.bank.checkpoint(2).astype(np.float64)
    run = Tuning(start, 0.002, {**TUNE, "decay": decay}, evaluators.__getitem__)
    plain = torch.from_numpy(start.copy()).requires_grad_()
    adam = torch.optim.Adam([plain], lr=0.002, betas=(0.9, 0.99))
    for number, evaluator in enumerate(evaluators.values()):
        value, gradient = whole_gradient(evaluator, plain.detach().numpy())
        plain.grad = torch.from_numpy(gradient)
        adam.param_groups[0]["lr"] = 0.002 * (1 - number / 3 if decay else 1)
        adam.step()
        run.step()
        assert run.scores[-1] == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(run.weights, plain.detach().numpy(), atol=1e-6, rtol=0)
    assert run.ended
    assert np.abs(run.weights - start).max() > 0.001


def test_the_start_is_that_of_the_gradient_search(tiny_run):
    context, extractor, reference = measures(tiny_run)
    evaluator = context.evaluator(extractor, reference, "search", 60)
    found = best_average(context, evaluator, TUNE["initial_rates"])
    settings = {"method": "gradient", "seed": 0, "initial_rates": [0.8, 0.9]}
    search = make_search(settings, SearchSpace(tuple(context.bank.steps)))
    candidates = search.ask()
    scores = [score.value for score in score_candidates(context, evaluator, candidates)]
    search.tell([Scored(candidate, score) for candidate, score in zip(candidates, scores, strict=True)])
    np.testing.assert_array_equal(found.coefficients, search.start)
    assert found.origin == candidates[int(np.argmin(scores))].origin


def test_the_start_is_chosen_on_as_many_images_as_the_searches_choose_theirs(tiny_run, tmp_path, monkeypatch):
    seen = []

    def spy(context, evaluator, rates):
        seen.append((evaluator.images, rates))
        return best_average(context, evaluator, rates)

    monkeypatch.setattr("lcsc.tuning.step.best_average", spy)
    step(tiny_run, tmp_path, gradients=1)
    assert seen == [(80, [0.8, 0.9])]


def selection_file(tiny_run, folder, rows, **changed):
    finalist = {"coefficients": rows.tolist(), "selection_score": 1.0}
    record = {"format": "lcsc-selection", "format_version": 1, "search": "tensor", "bank": tiny_run.bank.identity}
    record |= {"finalists": [{"coefficients": []}, finalist], "chosen": 1, "groups": "tensor", **changed}
    path = folder / "selection.json"
    path.write_text(json.dumps(record))
    return path


def test_it_starts_from_what_a_search_chose(tiny_run, tmp_path):
    bank = tiny_run.bank
    rows = np.zeros((sum(entry.role == "combined" for entry in bank.tensors), bank.K))
    rows[:, 2] = 1.0
    path = selection_file(tiny_run, tmp_path, rows)
    start = searched_start(path, "tensor", bank)
    assert (start.groups, start.search) == ("tensor", "tensor")
    step(tiny_run, tmp_path / "tune", path, start="tensor", rates=[1e-30], gradients=1)
    (entry,) = tuned.entries(tmp_path / "tune", bank)
    assert (entry["family"], entry["parameter"]) == ("tuned-search", 1e-30)
    assert entry["label"] == "LCSC (tensor), fine-tuned (rate 1e-30, 1 gradient)"
    from lcsc import weights

    np.testing.assert_array_equal(weights.load(entry["weights"], bank), bank.checkpoint(2))
    with pytest.raises(InputError, match="found the search 'tensor', expected 'other' as 'start' says"):
        searched_start(path, "other", bank)
    with pytest.raises(InputError, match=r"made from bank zzz, expected"):
        searched_start(selection_file(tiny_run, tmp_path, rows, bank="zzz"), "tensor", bank)


@pytest.mark.parametrize(
    ("gradients", "expected"), [(60, [15, 30, 45, 60]), (1, [1]), (3, [1, 2, 3]), (10, [3, 5, 8, 10])]
)
def test_milestones_are_quarters(gradients, expected):
    assert milestones(gradients) == expected


def test_fresh_noise_is_never_that_of_the_searches_nor_used_twice():
    fresh = [noise_iteration("fresh", gradient) for gradient in range(50)]
    assert len(set(fresh)) == 50
    assert 0 not in fresh
    assert {noise_iteration("fixed", gradient) for gradient in range(50)} == {0}


@pytest.mark.parametrize(("rate", "text"), [(0.0001, "1e-4"), (0.00003, "3e-5"), (0.00015, "1.5e-4"), (1.0, "1e+0")])
def test_rates_are_written_short_and_whole(rate, text):
    assert exponent(rate) == text
    assert float(exponent(0.000123456789)) == 0.000123456789


def test_the_distance_falls_and_all_milestones_are_baselines(tiny_run, tmp_path):
    done = step(tiny_run, tmp_path, gradients=8, rates=[0.003], noise="fixed")
    (entry,) = done.entries
    assert entry["scores"][-1] < 0.7 * entry["scores"][0]
    assert done.gradients == 8
    assert list(done.seconds) == ["3e-3"]
    assert not (tmp_path / JOURNAL).exists()
    entries = tuned.entries(tmp_path, tiny_run.bank)
    assert [item["name"] for item in entries] == [f"adam 3e-3 {count}" for count in (2, 4, 6, 8)]
    assert entries[3]["label"] == "Fine-tuned (rate 3e-3, 8 gradients)"
    assert {item["family"] for item in entries} == {"tuned"}
    assert [item["searched_extractor"] for item in entries] == 4 * [tiny_run.extractor("cnn").record]
    path = tmp_path / "weights" / "rate-3e-3-gradients-0004.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"0000")
    with pytest.raises(InputError, match="the file has changed, run the fine-tuning again"):
        tuned.entries(tmp_path, tiny_run.bank)
    path.unlink()
    with pytest.raises(InputError, match="not found, expected fine-tuned weights"):
        tuned.entries(tmp_path, tiny_run.bank)


@pytest.mark.parametrize("every", [0.0, math.inf])
@pytest.mark.parametrize("kill", [0, 1, 3, 5, 6, 9])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tiny_run, tmp_path, monkeypatch, kill, every):
    monkeypatch.setattr("lcsc.tuning.files.SAVE_EVERY", every)
    settings = {**TUNE, "gradients": 6, "decay": True}
    start, bank = tiny_run.bank.checkpoint(0), tiny_run.bank

    def tune(folder, valley):
        return run_all(start, settings, valley, bank, folder, {"protocol": "p"})

    whole = tune(tmp_path / "whole", Valley())
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "again", Valley(killed_at=kill))
    rest = Valley()
    again = tune(tmp_path / "again", rest)
    assert again.entries == whole.entries
    assert again.gradients == 12
    done = kill % 6
    lost = 0 if every == 0 else done - max(count for count in (0, *milestones(6)) if count <= done)
    assert len(rest.iterations) == 12 - kill + lost
    weights = [content(tmp_path / name / "weights") for name in ("whole", "again")]
    assert weights[0] == weights[1]
    assert len(weights[0]) == 8


def test_a_journal_of_another_protocol_or_a_damaged_one_is_not_used(tiny_run, tmp_path):
    start, bank = tiny_run.bank.checkpoint(0), tiny_run.bank
    settings = {**TUNE, "rates": [0.001]}
    run_all(start, settings, Valley(), bank, tmp_path, {"protocol": "p"})
    for key, gradients in (({"protocol": "p"}, 0), ({"protocol": "q"}, 3)):
        valley = Valley()
        run_all(start, settings, valley, bank, tmp_path, key)
        assert len(valley.iterations) == gradients
    for path in (tmp_path / JOURNAL).glob("*.safetensors"):
        if "-" not in path.stem:  # a state, no milestone
            path.write_bytes(path.read_bytes()[:100])
    valley = Valley()
    run_all(start, settings, valley, bank, tmp_path, {"protocol": "p"})
    assert len(valley.iterations) == 3
    for path in (tmp_path / JOURNAL).glob("*-000002.safetensors"):
        path.unlink()
    valley = Valley()
    run_all(start, settings, valley, bank, tmp_path, {"protocol": "p"})
    assert len(valley.iterations) == 3


def test_what_is_not_finite_stops_its_rate_alone_and_keeps_what_was_saved(tiny_run, tmp_path):
    start, bank = tiny_run.bank.checkpoint(0), tiny_run.bank
    done = run_all(start, {**TUNE, "gradients": 8}, Valley(bad=(5,)), bank, tmp_path, {})
    stopped, whole = done.entries
    assert stopped["stopped"] == "the gradient is not finite"
    assert [kept["gradients"] for kept in stopped["weights"]] == [2, 4]
    assert whole["stopped"] is None
    assert [kept["gradients"] for kept in whole["weights"]] == [2, 4, 6, 8]
    steep = Valley(scale=1e300)
    (far,) = run_all(start, {**TUNE, "rates": [0.1], "gradients": 1}, steep, bank, tmp_path, {}).entries
    assert (far["stopped"], far["weights"]) == ("the weights are not finite", [])


def test_an_earlier_fine_tuning_leaves_nothing(tiny_run, tmp_path):
    start, bank = tiny_run.bank.checkpoint(0), tiny_run.bank
    (tmp_path / MANIFEST).write_text("{}")
    run_all(start, {**TUNE, "rates": [0.5]}, Valley(), bank, tmp_path, {})
    assert not (tmp_path / MANIFEST).exists()
    run_all(start, {**TUNE, "rates": [0.1], "gradients": 1}, Valley(), bank, tmp_path, {})
    assert list(content(tmp_path / "weights")) == ["rate-1e-1-gradients-0001.safetensors"]


def test_weights_are_written_in_full_precision_under_the_names_of_the_files(tiny_run, tmp_path):
    bank = tiny_run.bank
    run = Tuning(bank.checkpoint(1), 0.01, {**TUNE, "gradients": 1}, Valley())
    run.step()
    journal = TuningJournal(tmp_path, "0" * 64, bank)
    journal.keep(run)
    from lcsc.checkpoints.safetensors_files import SafetensorsFormat

    found = SafetensorsFormat().read(journal.milestone(1))
    assert (found.metadata["rate"], found.metadata["gradients"]) == ("0.01", "1")
    np.testing.assert_array_equal(bank.flatten(found.tensors), run.weights)


def lcsc(tiny_run, output, *arguments, **changed):
    settings = {**SETTINGS, "tune": {**TUNE, **changed}}
    common = ["--bank", tiny_run.folder / "bank", "--extractor", tiny_run.folder / "cnn.safetensors"]
    common += ["--reference", tiny_run.folder / "train.cnn.h5", "--settings", json.dumps(settings), "--device", "cpu"]
    return main([str(part) for part in ("tune", *common, "--output", output, *arguments)])


def test_by_hand_it_is_the_same_on_one_core_and_on_two(tiny_run, tmp_path):
    assert lcsc(tiny_run, tmp_path / "a", "--timing", tmp_path / "timing.json") == 0
    assert lcsc(tiny_run, tmp_path / "b", "--cores", 2) == 0
    assert content(tmp_path / "a") == content(tmp_path / "b")
    timing = read_json(tmp_path / "timing.json", kind="timing")
    assert (timing["step"], timing["evaluations"], timing["images"]) == ("tune-adam", 6, 360)
    assert set(timing["parts"]) == {"1e-3", "1e-2"}
    assert sum(timing["parts"].values()) < timing["seconds"]
    manifest = read_json(tmp_path / "a" / MANIFEST, kind="tuning")
    assert [run["rate"] for run in manifest["rates"]] == [0.001, 0.01]
    assert manifest["start"]["search"] is None


@pytest.mark.parametrize(
    ("start", "given", "message"),
    [
        ("tensor", None, "--start: found none, expected selection.json of the search 'tensor'"),
        ("best-average", "selection.json", "--start: found selection.json, expected none"),
        ("tensor", "nope.json", "nope.json: not found; expected an lcsc-selection file"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(tiny_run, tmp_path, capsys, start, given, message):
    assert lcsc(tiny_run, tmp_path, *(["--start", given] if given else []), start=start) == 2
    assert message in capsys.readouterr().err


def test_an_extractor_without_gradients_is_refused_at_once(tiny_run, tmp_path, monkeypatch):
    def refuse(self):
        raise InputError("extractor cnn: is not differentiable")

    monkeypatch.setattr(GradientEvaluator, "__post_init__", refuse)
    monkeypatch.setattr("lcsc.tuning.step.best_average", None)
    with pytest.raises(InputError, match="is not differentiable"):
        step(tiny_run, tmp_path)


def test_baselines_score_them(tiny_run, tmp_path):
    assert lcsc(tiny_run, tmp_path / "tune", rates=[0.003]) == 0
    settings = {**SCORING, "images": 60, "baselines": {"ema_shaped": [0.8]}}
    common = ["--bank", tiny_run.folder / "bank", "--extractor", tiny_run.folder / "cnn.safetensors"]
    common += ["--reference", tiny_run.folder / "train.cnn.h5", "--settings", json.dumps(settings), "--device", "cpu"]
    common += ["--tuned", tmp_path / "tune", "--output", tmp_path / "baselines.json"]
    assert main([str(part) for part in ("baselines", *common)]) == 0
    record = read_json(tmp_path / "baselines.json", kind="baselines")
    scores = {entry["name"]: entry["score"] for entry in record["entries"] if entry["family"] == "tuned"}
    assert set(scores) == {f"adam 3e-3 {count}" for count in (1, 2, 3)}
    assert record["chosen"]["tuned"] == min(scores, key=scores.get)
