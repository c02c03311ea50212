"""Points without a value or gradient, at any moment of a search along gradients: walked around, and never the best."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from lcsc.search import Candidate, Scored, SearchSpace
from lcsc.search.adam import Adam
from lcsc.search.domain import Rows, Vector
from lcsc.search.gradient import Gradient, Optimiser
from lcsc.search.lbfgs import LBFGS

CENTRE = np.linspace(-0.5, 0.8, 6)
CURVATURE = np.geomspace(1, 200, 6)
Told = list[tuple[Vector, float]]
OPTIMISERS: dict[str, Callable[[Vector], Optimiser]] = {
    "lbfgs": LBFGS,
    "lbfgs in bounds": lambda start: LBFGS(start, Rows(1, 6, 0.9)),
    "adam": lambda start: Adam(start, learning_rate=0.1, evaluations=60),
    "adam in bounds": lambda start: Adam(start, Rows(1, 6, 0.9), learning_rate=0.1, evaluations=60),
}
MOMENTS = (1, 2, 3, 4, 5, 7, 11)
# What a failed evaluation may give: no value, a value without a gradient, and infinities of both signs.
BAD = {
    "nothing": (np.nan, np.full(6, np.nan)),
    "no gradient": (-1e9, np.full(6, np.nan)),
    "one number of the gradient": (-1e9, np.array([1.0, np.nan, 0, 0, 0, 0])),
    "infinite": (np.inf, np.ones(6)),
    "below all": (-np.inf, np.ones(6)),
}


def bowl(x: Vector) -> tuple[float, Vector]:
    """A bowl of condition 200."""
    return float((CURVATURE * (x - CENTRE) ** 2).sum()), 2 * CURVATURE * (x - CENTRE)


def put_away(optimiser: Optimiser, make: Callable[[Vector], Optimiser]) -> Optimiser:
    """A new object that goes on from what a file would hold."""
    state = optimiser.state()
    state["arrays"] = {name: array.tolist() for name, array in state["arrays"].items()}
    again = make(np.full(6, 1 / 6))
    again.restore(json.loads(json.dumps(state, allow_nan=False)))
    return again


def run(
    make: Callable[[Vector], Optimiser], bad: Callable[[int], bool], given: tuple[float, Vector], restoring: bool
) -> tuple[Optimiser, Told]:
    """The evaluations, up to 150, of which those that ``bad`` is true of give ``given``."""
    optimiser, told = make(np.full(6, 1 / 6)), []
    while optimiser.stopped is None and len(told) < 150:
        if restoring:
            optimiser = put_away(optimiser, make)
        point = optimiser.ask()
        assert np.isfinite(point).all()
        value, slope = given if bad(len(told)) else bowl(point)
        optimiser.tell(value, slope)
        told.append((point, bowl(point)[0] if not bad(len(told)) else np.nan))
    return optimiser, told


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_one_failed_evaluation_at_any_moment_costs_little(
    make: Callable[[Vector], Optimiser], given: tuple[float, Vector]
) -> None:
    whole, start = run(make, lambda number: False, given, restoring=False)
    assert whole.best is not None
    for moment in MOMENTS:
        optimiser, told = run(make, lambda number, at=moment: number == at, given, restoring=False)
        assert optimiser.best is not None
        point, value = optimiser.best
        assert value == np.nanmin([value for _, value in told]) == bowl(point)[0]
        assert value < whole.best[1] + 0.01 * start[0][1]
        _, again = run(make, lambda number, at=moment: number == at, given, restoring=True)
        assert [point.tobytes() for point, _ in again] == [point.tobytes() for point, _ in told]


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_where_nothing_more_has_a_value_it_ends_with_the_best_before(
    make: Callable[[Vector], Optimiser], given: tuple[float, Vector]
) -> None:
    for moment in MOMENTS:
        optimiser, told = run(make, lambda number, at=moment: number >= at, given, restoring=False)
        assert optimiser.stopped in ("not finite", "line search", "evaluations")
        assert optimiser.best is not None
        assert optimiser.best[1] == min(value for _, value in told[:moment])


@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_a_search_goes_on_after_any_candidate_without_a_score_and_after_a_kill(name: str) -> None:
    space = SearchSpace(tuple(range(100, 700, 100)))
    settings = {"method": "gradient", "optimiser": name, "learning_rate": 0.1, "gradients": 30, "initial_rates": [0.9]}

    def scored(candidate: Candidate, failed: bool, gradient: bool) -> Scored:
        value, slope = bowl(candidate.coefficients[0])
        return Scored(candidate, None) if failed else Scored(candidate, value, slope[None] if gradient else None)

    for moment in range(2, 12):
        search, history = Gradient(space, settings), []
        for number in range(25):
            history.append([scored(one, number == moment, search.wants_gradients) for one in search.ask()])
            if history[-1]:
                search.tell(history[-1])
            again = Gradient(space, settings)
            again.restore(search.state(), history)
            search = again
        assert history[moment][0].score is None
        orders = [item.order for generation in history for item in generation]
        assert np.isfinite(min(orders))
        assert min(orders) < min(item.order for generation in history[:moment] for item in generation)
