"""The search along gradients, driven by functions whose minimum is known."""

import json

import numpy as np
import pytest

from lcsc.errors import InputError, LcscError
from lcsc.search import Scored, SearchSpace, project
from lcsc.search.gradient import Gradient

SPACE = SearchSpace(tuple(range(100, 1100, 100)), groups=3)
TARGET = project(np.random.default_rng(0).normal(scale=0.8, size=(3, 10)))
HESSIAN = np.diag(np.geomspace(1, 300, 10))
SETTINGS = {"method": "gradient", "seed": 0}


def bowl(rows):
    """An ill-conditioned bowl and its gradient, which does not sum to 0 in its rows."""
    away = rows - TARGET
    return float((away @ HESSIAN * away).sum()) + float(rows.sum()), 2 * away @ HESSIAN + 1.0


def again(search, history, settings=SETTINGS):
    """A new search that goes on from what a file would hold."""
    state = json.loads(json.dumps(search.state(), allow_nan=False))
    restored = Gradient(SPACE, settings)
    restored.restore(state, history)
    return restored


def run(search, generations=400, function=bowl, kill_at=(), settings=SETTINGS):
    history = []
    while not search.stopped and len(history) < generations:
        if len(history) in kill_at:
            search = again(search, history, settings)
        wanted = search.wants_gradients
        scored = []
        for candidate in search.ask():
            value, slope = function(candidate.coefficients)
            scored.append(Scored(candidate, value, slope) if wanted else Scored(candidate, value))
        search.tell(scored)
        history.append(scored)
    return search, history


def best(history):
    return min((item for scored in history for item in scored), key=lambda item: item.order)


def test_it_finds_a_minimum_with_negative_coefficients():
    search, history = run(Gradient(SPACE, SETTINGS))
    assert search.reason in ("gradient", "decrease")
    assert search.ask() == []
    assert len(history) < 80
    np.testing.assert_allclose(best(history).candidate.coefficients, TARGET, atol=1e-3)


def test_it_starts_from_the_best_average():
    search, history = run(Gradient(SPACE, SETTINGS), 3)
    origins = [item.candidate.origin for item in history[0]]
    assert origins[:2] == ["last", "uniform"]
    assert "ema-shaped 0.97" in origins
    for item in history[0]:
        assert np.array_equal(item.candidate.coefficients, np.repeat(item.candidate.coefficients[:1], 3, axis=0))
    assert [item.candidate.origin for scored in history[1:] for item in scored] == ["lbfgs 0", "lbfgs 1"]
    np.testing.assert_allclose(history[1][0].candidate.coefficients, best(history[:1]).candidate.coefficients)
    np.testing.assert_allclose(search.start, best(history[:1]).candidate.coefficients)


@pytest.mark.parametrize(("settings", "most"), [({}, 0.0), ({"bound": 0.7}, 0.7), ({"optimiser": "adam"}, 0.0)])
def test_every_row_sums_to_one(settings, most):
    _, history = run(Gradient(SPACE, SETTINGS | settings), 150)
    for scored in history:
        for item in scored:
            np.testing.assert_allclose(item.candidate.coefficients.sum(axis=1), 1, atol=1e-12)
            assert not most or np.abs(item.candidate.coefficients).max() <= most


@pytest.mark.parametrize(
    "extra", [{}, {"bound": 0.6, "penalty": 0.5}, {"start": "uniform"}, {"optimiser": "adam", "gradients": 30}]
)
def test_killed_at_any_evaluation_it_asks_for_the_same_candidates(extra):
    settings = SETTINGS | extra

    def fingerprints(kill_at):
        _, history = run(Gradient(SPACE, settings), 35, kill_at=kill_at, settings=settings)
        return [item.candidate.fingerprint for scored in history for item in scored]

    whole = fingerprints(())
    assert len(whole) > 25
    every = 6 if "bound" in extra else 1  # slower, and the last run below is killed at all of them
    for kill_at in [*((at,) for at in range(0, 35, every)), range(35)]:
        assert fingerprints(kill_at) == whole


def test_other_settings_or_a_changed_history_are_noticed():
    search, history = run(Gradient(SPACE, SETTINGS), 6)
    with pytest.raises(InputError, match="generation 0: its candidates are not those that this search asks for"):
        Gradient(SPACE, SETTINGS | {"initial_rates": [0.5]}).restore(search.state(), history)
    moved = [
        *history[:2],
        [Scored(item.candidate, item.score, item.gradient[:, ::-1]) for item in history[2]],
        *history[3:],
    ]
    with pytest.raises(InputError, match="generation 3"):
        Gradient(SPACE, SETTINGS).restore(search.state(), moved)


def test_a_penalty_pulls_towards_the_start():
    far = []
    for penalty in (0.0, 1.0, 30.0, 1e5):
        search, history = run(Gradient(SPACE, SETTINGS | {"penalty": penalty}))
        assert search.stopped
        end = history[-1][-1].candidate.coefficients
        far.append(np.linalg.norm(end - search.start))
    assert far == sorted(far, reverse=True)
    assert far[-1] < 0.01 * far[0]


def test_the_penalised_minimum_is_where_both_gradients_cancel():
    search, history = run(Gradient(SPACE, SETTINGS | {"penalty": 3.0, "tolerance": 0.0, "gradient_tolerance": 1e-6}))
    end = history[-1][-1].candidate.coefficients
    total = bowl(end)[1] + 2 * 3.0 * (end - search.start)
    np.testing.assert_allclose(total - total.mean(axis=1, keepdims=True), 0, atol=1e-5)


def test_with_a_bound_it_ends_on_it():
    search, history = run(Gradient(SPACE, SETTINGS | {"bound": 0.5}))
    assert search.reason in ("gradient", "decrease")
    assert np.abs(best(history).candidate.coefficients).max() == 0.5
    free = best(run(Gradient(SPACE, SETTINGS))[1])
    assert free.score < best(history).score < best(history[:1]).score


def test_candidates_without_a_score_are_walked_around():
    where = np.unravel_index(TARGET.argmin(), TARGET.shape)  # the averages are far from it

    def cliff(rows):
        return (None, None) if rows[where] < TARGET[where] - 0.02 else bowl(rows)

    search, history = run(Gradient(SPACE, SETTINGS), function=cliff)
    assert sum(item.score is None for scored in history[1:] for item in scored) > 0
    assert search.stopped
    np.testing.assert_allclose(best(history).candidate.coefficients, TARGET, atol=1e-2)


def test_a_written_start_needs_no_averages():
    for start, rows in (
        ("uniform", np.full((3, 10), 0.1)),
        (TARGET.tolist(), TARGET),
        (TARGET[:1].tolist(), TARGET[:1]),
    ):
        search = Gradient(SPACE, SETTINGS | {"start": start})
        assert search.wants_gradients
        (candidate,) = search.ask()
        np.testing.assert_allclose(candidate.coefficients, np.broadcast_to(rows, (3, 10)), atol=1e-15)
    last = Gradient(SPACE, SETTINGS | {"start": "last"}).ask()[0].coefficients
    assert np.array_equal(last, np.repeat([[0.0] * 9 + [1.0]], 3, axis=0))


def test_averages_beyond_the_bound_are_moved_inside_and_not_asked_for_twice():
    candidates = Gradient(SPACE, SETTINGS | {"bound": 0.11}).ask()
    for candidate in candidates:
        assert np.abs(candidate.coefficients).max() <= 0.11
    assert len({candidate.fingerprint for candidate in candidates}) == len(candidates)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"penalty": -1}, "penalty -1.0 is no strength, expected 0 or more"),
        ({"penalty": float("nan")}, "penalty nan is no strength"),
        ({"optimiser": "sgd"}, "optimiser 'sgd' is unknown, expected one of adam, lbfgs"),
        ({"bound": 0.05}, "bound 0.05 leaves no coefficients, 10 of them cannot sum to 1; raise it above 0.1"),
        ({"start": "first"}, "start 'first' is no start, expected best-average, last, uniform, or finite rows"),
        ({"start": [[1.0, 0.0]]}, r"start of shape \(1, 2\) is no start"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Gradient(SPACE, SETTINGS | settings)


def test_averages_without_any_score_and_scores_without_gradient_are_errors():
    search = Gradient(SPACE, SETTINGS)
    with pytest.raises(LcscError, match="no average of the checkpoints has a score"):
        search.tell([Scored(candidate, None) for candidate in search.ask()])
    search, _ = run(search, 1)
    with pytest.raises(LcscError, match="a score without its gradient"):
        search.tell([Scored(search.ask()[0], 1.0)])
