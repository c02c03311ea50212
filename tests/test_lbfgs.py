"""L-BFGS on functions whose minimum is known, against torch's, and killed at every evaluation."""

import json

import numpy as np
import pytest
import torch

from lcsc.search.domain import Rows
from lcsc.search.lbfgs import LBFGS


def quadratic(n, condition, seed=0):
    """½ (x - m)ᵀ H (x - m) with eigenvalues from 1 to ``condition``; value and gradient, and m."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0]
    hessian = axes * np.geomspace(1, condition, n) @ axes.T
    centre = rng.normal(size=n)

    def function(x):
        slope = hessian @ (x - centre)
        return 0.5 * float((x - centre) @ slope), slope

    return function, centre


def rosenbrock(x):
    left, right = x[:-1], x[1:]
    value = float((100 * (right - left**2) ** 2 + (1 - left) ** 2).sum())
    slope = np.zeros_like(x)
    slope[:-1] = -400 * left * (right - left**2) - 2 * (1 - left)
    slope[1:] += 200 * (right - left**2)
    return value, slope


def through_json(optimiser, **settings):
    """A new object that goes on from what a file would hold."""
    state = optimiser.state()
    state["arrays"] = {name: array.tolist() for name, array in state["arrays"].items()}
    again = LBFGS(np.zeros(optimiser.ask().size), optimiser._domain, **settings)
    again.restore(json.loads(json.dumps(state, allow_nan=False)))
    return again


def run(optimiser, function, most=2000, kill_at=(), **settings):
    """The points and values told, until it stops or ``most`` evaluations are made."""
    told = []
    while optimiser.stopped is None and len(told) < most:
        if len(told) in kill_at:
            optimiser = through_json(optimiser, **settings)
        point = optimiser.ask()
        value, slope = function(point)
        optimiser.tell(value, slope)
        told.append((point, value))
    return optimiser, told


@pytest.mark.parametrize(("n", "condition"), [(1, 1), (2, 1e6), (20, 1e4), (200, 1e2), (200, 1e4)])
def test_quadratics(n, condition):
    function, centre = quadratic(n, condition)
    optimiser, _ = run(LBFGS(np.zeros(n), gradient_tolerance=1e-6), function)
    assert optimiser.stopped == "gradient"
    assert optimiser.converged
    np.testing.assert_allclose(optimiser.best[0], centre, atol=1e-4)


@pytest.mark.parametrize("n", [2, 10, 60])
def test_rosenbrock(n):
    optimiser, told = run(LBFGS(np.full(n, -1.2)), rosenbrock)
    assert optimiser.converged
    np.testing.assert_allclose(optimiser.best[0], 1, atol=1e-4)
    assert len(told) < 400


def evaluations_of_torch(function, start, target):
    point = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    values = []

    def closure():
        value, slope = function(point.detach().numpy())
        point.grad = torch.from_numpy(slope)
        values.append(value)
        return torch.tensor(value)

    settings = {"max_iter": 3000, "max_eval": 3000, "tolerance_grad": 0.0, "tolerance_change": 0.0}
    torch.optim.LBFGS([point], history_size=20, line_search_fn="strong_wolfe", **settings).step(closure)
    return next(index for index, value in enumerate(values) if value <= target) + 1


@pytest.mark.parametrize(("n", "condition"), [(20, 1e3), (100, 1e4), (200, 1e4)])
def test_it_needs_no_more_evaluations_than_torch_takes(n, condition):
    ours = theirs = 0
    for seed in range(2):
        function, _ = quadratic(n, condition, seed)
        start = np.zeros(n)
        target = 1e-8 * function(start)[0]
        _, told = run(LBFGS(start), lambda x, function=function: function(x))
        ours += next(index for index, (_, value) in enumerate(told) if value <= target) + 1
        theirs += evaluations_of_torch(function, start, target)
    assert ours <= 1.3 * theirs


def test_killed_at_any_evaluation_it_asks_for_the_same_points():
    settings = {"history": 4}
    _, whole = run(LBFGS(np.full(6, -1.2), **settings), rosenbrock, most=60)
    for kill_at in [*((at,) for at in range(60)), range(60)]:
        _, again = run(LBFGS(np.full(6, -1.2), **settings), rosenbrock, most=60, kill_at=kill_at, **settings)
        assert [point.tobytes() for point, _ in again] == [point.tobytes() for point, _ in whole]


def test_asking_twice_changes_nothing():
    optimiser, _ = run(LBFGS(np.full(4, -1.2)), rosenbrock, most=7)
    first = optimiser.ask()
    first_copy = first.copy()
    first += 1.0
    assert np.array_equal(optimiser.ask(), first_copy)


def test_values_that_are_not_finite_are_walked_around():
    def function(x):
        if x[0] > 1.5:
            return float("nan"), np.full(2, np.nan)
        return float((x[0] - 1.4) ** 2 + 1e-2 * x[1] ** 2), np.array([2 * (x[0] - 1.4), 2e-2 * x[1]])

    # the first trial goes one far, so from 1 it lands where there is no value
    optimiser, told = run(LBFGS(np.array([1.0, 30.0])), function)
    assert any(np.isnan(value) for _, value in told)
    np.testing.assert_allclose(optimiser.best[0], [1.4, 0], atol=1e-4)


def test_a_start_without_a_value_stops_it():
    optimiser = LBFGS(np.ones(3))
    optimiser.tell(float("nan"), np.ones(3))
    assert optimiser.stopped == "not finite"
    assert not optimiser.converged
    assert np.array_equal(optimiser.ask(), np.ones(3))
    with pytest.raises(ValueError, match="after it stopped"):
        optimiser.tell(1.0, np.ones(3))


def test_a_wrong_gradient_ends_in_a_failed_line_search_after_one_restart():
    def wrong(x):
        value, slope = quadratic(5, 10)[0](x)
        return value, -slope

    optimiser, told = run(LBFGS(np.zeros(5), line_evaluations=8), wrong)
    assert optimiser.stopped == "line search"
    assert len(told) <= 1 + 2 * 8

    function, centre = quadratic(5, 10)
    seen = []

    def turned(x):  # right for a while, so that there are pairs to forget
        seen.append(x)
        value, slope = function(x)
        return value, slope if len(seen) < 4 else -slope

    optimiser, told = run(LBFGS(centre + 3, line_evaluations=8), turned)
    assert optimiser.stopped == "line search"
    assert optimiser.best[1] == min(value for _, value in told)


def test_it_stops_where_the_value_hardly_falls():
    function, _ = quadratic(50, 1e6)
    optimiser, _ = run(LBFGS(np.zeros(50), tolerance=1e-3), lambda x: (function(x)[0] + 1e4, function(x)[1]))
    assert optimiser.stopped == "decrease"


@pytest.mark.parametrize(("bound", "condition"), [(0.3, 10), (0.3, 1e4), (0.12, 1e2), (1.0, 1e3)])
def test_with_bounds_it_ends_where_projected_descent_does(bound, condition):
    groups, count = 3, 12
    function, _ = quadratic(groups * count, condition)
    domain = Rows(groups, count, bound)
    start = np.full(groups * count, 1 / count)
    optimiser, told = run(LBFGS(start, domain, gradient_tolerance=1e-6), function)
    assert optimiser.converged
    for point, _ in told:
        assert np.abs(point).max() <= bound
        np.testing.assert_allclose(point.reshape(groups, count).sum(1), 1, atol=1e-12)
    point = optimiser.best[0]
    assert np.abs(point).max() == pytest.approx(bound)
    # optimal: no short step of projected steepest descent leads elsewhere
    moved = domain.project(point - function(point)[1] / condition)
    np.testing.assert_allclose(moved, point, atol=2e-5)
    assert len(told) < 100
