"""Adam with and without noise, against torch's, and killed at every evaluation."""

import json

import numpy as np
import pytest
import torch

from lcsc.search.adam import Adam
from lcsc.search.domain import Rows

TARGET = np.linspace(-1, 2, 12)


def bowl(x, iteration=0, noise=0.0):
    """Value and gradient of a bowl, whose centre moves with the iteration."""
    centre = TARGET + noise * np.random.default_rng(iteration).normal(size=TARGET.size)
    return float(((x - centre) ** 2).sum()), 2 * (x - centre)


def run(optimiser, noise=0.0, most=400, kill_at=(), **settings):
    points = []
    while optimiser.stopped is None and len(points) < most:
        if len(points) in kill_at:
            state = optimiser.state()
            state["arrays"] = {name: array.tolist() for name, array in state["arrays"].items()}
            again = Adam(np.zeros(12), optimiser._domain, **settings)
            again.restore(json.loads(json.dumps(state, allow_nan=False)))
            optimiser = again
        points.append(optimiser.ask())
        optimiser.tell(*bowl(points[-1], len(points), noise))
    return optimiser, points


def test_the_same_steps_as_torch():
    _, points = run(Adam(np.zeros(12), learning_rate=0.05, betas=(0.9, 0.99)), most=50)
    theirs = torch.zeros(12, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([theirs], lr=0.05, betas=(0.9, 0.99))
    for point in points:
        np.testing.assert_allclose(point, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
        theirs.grad = torch.from_numpy(bowl(theirs.detach().numpy())[1])
        adam.step()


def test_a_falling_learning_rate_ends_nearer_to_the_minimum():
    settings = {"learning_rate": 0.1}
    constant, _ = run(Adam(np.zeros(12), **settings), noise=1.0)
    falling, others = run(Adam(np.zeros(12), evaluations=400, **settings), noise=1.0)
    assert constant.stopped is None
    assert falling.stopped == "evaluations"
    assert falling.converged
    assert len(others) == 400
    assert np.linalg.norm(falling.ask() - TARGET) < 0.6 * np.linalg.norm(constant.ask() - TARGET)
    assert np.linalg.norm(falling.ask() - TARGET) < 0.5


def test_killed_at_any_evaluation_it_asks_for_the_same_points():
    settings = {"learning_rate": 0.03, "evaluations": 40}
    domain = Rows(2, 6, 0.9)
    _, whole = run(Adam(np.full(12, 1 / 6), domain, **settings), noise=0.3)
    for kill_at in [*((at,) for at in range(40)), range(40)]:
        _, again = run(Adam(np.full(12, 1 / 6), domain, **settings), noise=0.3, kill_at=kill_at, **settings)
        assert [point.tobytes() for point in again] == [point.tobytes() for point in whole]


def test_rows_keep_their_sums_and_bounds():
    _, points = run(Adam(np.full(12, 1 / 6), Rows(2, 6, 0.5), learning_rate=0.1), most=100)
    for point in points:
        np.testing.assert_allclose(point.reshape(2, 6).sum(1), 1, atol=1e-12)
        assert np.abs(point).max() <= 0.5
    assert np.abs(points[-1]).max() == pytest.approx(0.5, abs=0.01)


def test_where_nothing_is_finite_it_goes_back_and_steps_half_as_far():
    optimiser = Adam(np.zeros(12), learning_rate=0.5)
    optimiser.tell(*bowl(optimiser.ask()))
    first = optimiser.ask()
    optimiser.tell(float("nan"), np.full(12, np.nan))
    np.testing.assert_allclose(optimiser.ask(), first / 2)
    optimiser.tell(1.0, np.full(12, np.inf))
    np.testing.assert_allclose(optimiser.ask(), first / 4)
    assert np.array_equal(optimiser.best[0], np.zeros(12))
    while optimiser.stopped is None:
        optimiser.tell(float("nan"), np.zeros(12))
    assert optimiser.stopped == "not finite"
    assert optimiser.evaluations == 22


def test_a_start_without_a_value_stops_it():
    optimiser = Adam(np.zeros(3))
    optimiser.tell(float("inf"), np.zeros(3))
    assert optimiser.stopped == "not finite"
    with pytest.raises(ValueError, match="after it stopped"):
        optimiser.tell(1.0, np.zeros(3))
