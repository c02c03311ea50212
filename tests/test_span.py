"""Fine-tuning along the span of the checkpoints and in all weights at once."""

from types import SimpleNamespace

import numpy as np
import pytest
from tiny import SCORING

from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.gram import centred_gram
from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.files import read_json
from lcsc.gradients import ScoredGradient
from lcsc.groups import make_groups
from lcsc.search import Scored, SearchSpace, make_search
from lcsc.span import Span
from lcsc.tuning import step as tuning_step
from lcsc.tuning import tuned
from lcsc.tuning.files import MANIFEST, run_all
from lcsc.tuning.tuning import Tuning

pytestmark = pytest.mark.usefixtures("one_thread")

TUNE = {
    "start": "best-average", "rates": [0.001, 0.01], "gradients": 6, "noise": "fresh", "decay": True,
    "betas": [0.8, 0.95], "initial_rates": [0.8, 0.9], "span": {"groups": "tensor", "learning_rate": 0.05},
}  # fmt: skip
SETTINGS = {**SCORING, "images": 60, "search_images": 80, "name": "both", "tune": TUNE}


def span_of(tiny_run, rate=0.05, groups="tensor"):
    return Span.of(tiny_run.bank, {"groups": groups, "learning_rate": rate})


class Valleys:
    """Distances that differ from noise to noise: half the square of how far each weight is from that one's bottom."""

    def __init__(self, count, killed_at=None):
        rng = np.random.default_rng(0)
        self.bottoms = 0.1 * rng.normal(size=(20, count))
        self.slopes = np.geomspace(1, 30, count)
        self.killed_at, self.calls = killed_at, 0

    def __call__(self, iteration):
        if self.calls == self.killed_at:
            raise KeyboardInterrupt
        self.calls += 1

        def value_and_gradient(weights):
            away = weights.astype(np.float64) - self.bottoms[iteration]
            return ScoredGradient(Score(float(self.slopes @ away**2) / 2), self.slopes * away)

        return SimpleNamespace(value_and_gradient=value_and_gradient)


def uniform(bank):
    return combine(bank, np.full((1, 1, bank.K), 1 / bank.K))[0]


@pytest.mark.parametrize("groups", ["all", "tensor", "tensor/3"])
def test_the_gradient_is_the_projection_on_the_directions_it_moves_along(tiny_run, groups):
    span = span_of(tiny_run, groups=groups)
    gradient = np.random.default_rng(1).normal(size=tiny_run.bank.P)
    slope = span.slope(gradient)
    moves = np.stack([span.moved(axis) for axis in np.eye(len(slope))]).astype(np.float64)
    np.testing.assert_allclose(slope, moves @ gradient, rtol=1e-4, atol=1e-6)
    assert np.linalg.matrix_rank(moves) == len(slope)
    assert not span.moved(span.start).any()


def test_adams_first_step_is_a_learning_rate_along_each_axis_and_in_each_weight(tiny_run):
    bank, span = tiny_run.bank, span_of(tiny_run)
    start, valleys = uniform(bank), Valleys(bank.P)
    run = Tuning(start, 0.001, TUNE, valleys, span)
    np.testing.assert_array_equal(run.weights, start)
    gradient = valleys(1).value_and_gradient(start).gradient
    run.step()
    expected = start - 0.001 * np.sign(gradient) + span.moved(-0.05 * np.sign(span.slope(gradient)))
    np.testing.assert_allclose(run.weights, expected, atol=2e-6)


def test_where_the_span_does_not_move_it_is_plain_fine_tuning(tiny_run):
    bank = tiny_run.bank
    both, plain = (
        Tuning(uniform(bank), 0.01, TUNE, Valleys(bank.P), span) for span in (span_of(tiny_run, rate=0.0), None)
    )
    while not plain.ended:
        plain.step(), both.step()
        np.testing.assert_array_equal(both.weights, plain.weights)
    assert both.scores == plain.scores
    assert both.ended


@pytest.mark.parametrize("decay", [False, True])
def test_where_the_weights_do_not_move_it_is_the_search_along_principal_axes(tiny_run, decay):
    """A search makes no step after its last gradient, so its learning rate falls to 0 over one more of them."""
    bank, count = tiny_run.bank, TUNE["gradients"]
    groups = make_groups(bank.tensors, "tensor")
    settings = {
        "method": "gradient", "start": "uniform", "optimiser": "adam", "axes": "principal", "noise": "fresh",
        "betas": TUNE["betas"], "learning_rate": 0.05 * (count + 1) / count if decay else 0.05,
    }  # fmt: skip
    settings |= {"gradients": count + 1} if decay else {}
    search = make_search(settings, SearchSpace(tuple(bank.steps), groups.G, centred_gram(bank, groups)))
    run = Tuning(uniform(bank), 0.0, {**TUNE, "decay": decay}, Valleys(bank.P), span_of(tiny_run))
    valleys = Valleys(bank.P)
    for _ in range(count):
        (candidate,) = search.ask()
        weights = combine(bank, candidate.coefficients[None], groups)[0]
        np.testing.assert_allclose(run.weights, weights, atol=1e-6)
        found = valleys(candidate.iteration).value_and_gradient(weights)
        search.tell([Scored(candidate, found.score.value, coefficient_gradient(bank, found.gradient, groups))])
        run.step()
        assert run.scores[-1] == pytest.approx(found.score.value, rel=1e-5)
    (candidate,) = search.ask()
    np.testing.assert_allclose(run.weights, combine(bank, candidate.coefficients[None], groups)[0], atol=1e-6)
    assert np.abs(run.weights - uniform(bank)).max() > 0.001


@pytest.mark.parametrize("every", [0.0, np.inf])
@pytest.mark.parametrize(("kill", "lost"), [(1, 1), (4, 1), (8, 0)])
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tiny_run, tmp_path, monkeypatch, kill, lost, every):
    monkeypatch.setattr("lcsc.tuning.files.SAVE_EVERY", every)
    bank, span = tiny_run.bank, span_of(tiny_run)

    def tune(name, killed_at=None):
        valleys = Valleys(bank.P, killed_at)
        run_all(uniform(bank), TUNE, valleys, bank, tmp_path / name, {"protocol": "p"}, span)
        files = (tmp_path / name / "weights").iterdir()
        return {path.name: path.read_bytes() for path in files}, valleys.calls

    whole, calls = tune("whole")
    with pytest.raises(KeyboardInterrupt):
        tune("again", kill)
    again, rest = tune("again")
    assert again == whole
    assert len(whole) == 8
    assert rest == calls - kill + (lost if every else 0)


def test_a_state_without_the_spans_moments_is_refused_and_changes_nothing(tiny_run):
    bank, span = tiny_run.bank, span_of(tiny_run)
    run, other = (Tuning(uniform(bank), 0.01, TUNE, Valleys(bank.P), span) for _ in range(2))
    run.step()
    arrays, numbers = run.state()
    assert set(arrays) == {
        f"{name}{moment}" for name in ("weights", "span") for moment in ("", ".exp_avg", ".exp_avg_sq")
    }
    with pytest.raises(KeyError):
        other.restore({name: array for name, array in arrays.items() if name != "span.exp_avg_sq"}, numbers)
    np.testing.assert_array_equal(other.weights, uniform(bank))
    assert other.gradients == 0


def test_steps_that_are_not_finite_end_the_run(tiny_run):
    bank = tiny_run.bank
    run = Tuning(uniform(bank), 0.01, TUNE, Valleys(bank.P), span_of(tiny_run, rate=np.inf))
    run.step()
    assert run.stopped == "the weights are not finite"


def step(tiny_run, output, selection=None, **changed):
    settings = {**SETTINGS, "tune": {**TUNE, "gradients": 8, "rates": [0.003], **changed}}
    measures = tiny_run.context(), tiny_run.extractor("cnn"), tiny_run.reference("cnn")
    return tuning_step.run(*measures, settings, selection, output)


def test_the_step_lowers_the_distance_and_its_weights_are_baselines_of_their_own(tiny_run, tmp_path):
    (entry,) = step(tiny_run, tmp_path, noise="fixed", decay=False).entries
    assert entry["scores"][-1] < 0.7 * entry["scores"][0]
    assert read_json(tmp_path / MANIFEST, kind="tuning")["settings"]["span"] == TUNE["span"]
    found = tuned.entries(tmp_path, tiny_run.bank)
    assert {item["family"] for item in found} == {"tuned-span"}
    assert found[-1]["label"] == "Fine-tuned with the span (rate 3e-3, 8 gradients)"


def test_another_span_is_another_result(tiny_run, tmp_path, monkeypatch):
    keys = []
    monkeypatch.setattr("lcsc.tuning.step.run_all", lambda *given: keys.append(given[5]) or SimpleNamespace(entries=[]))
    for rate in (0.05, 0.1, None):
        step(tiny_run, tmp_path, span=rate and {"groups": "tensor", "learning_rate": rate})
    assert [key["tune"]["span"] and key["tune"]["span"]["learning_rate"] for key in keys] == [0.05, 0.1, None]


def test_groups_that_fit_nothing_are_refused(tiny_run):
    with pytest.raises(InputError, match="groups: found 'tensors', expected all, tensor"):
        span_of(tiny_run, groups="tensors")
