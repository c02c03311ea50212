"""The strong Wolfe conditions hold at accepted steps, whatever the function, and the search can be put away."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc.search.line_search import CURVATURE, SUFFICIENT, LineSearch


def run(search, function, step, restoring=False, longest=math.inf):
    """All trials [(t, value, slope)] until the search is done."""
    search.begin(*function(0.0), step, longest)
    trials = []
    while not search.done:
        if restoring:
            state = json.loads(json.dumps(search.state(), allow_nan=False))
            search = LineSearch(evaluations=search._limit, curvature=search._curvature)
            search.restore(state)
        t = search.ask()
        trials.append((t, *function(t)))
        best = search.tell(*trials[-1][1:])
        assert best == (search.step == t)
    return search, trials


def wavy(centre, amplitude, rate):
    """(t - centre)² and a wave, with its derivative."""

    def function(t):
        value = (t - centre) ** 2 + amplitude * math.sin(rate * t)
        return value, 2 * (t - centre) + amplitude * rate * math.cos(rate * t)

    return function


functions = st.builds(wavy, st.floats(0.01, 100), st.floats(0, 0.5), st.floats(0.1, 3)).filter(lambda f: f(0)[1] < 0)
steps = st.floats(-3, 3).map(lambda power: 10**power)


@settings(max_examples=150, deadline=None)
@given(functions, steps)
def test_the_strong_wolfe_conditions_hold_where_it_ends(function, step):
    search, trials = run(LineSearch(evaluations=60), function, step)
    (value, slope), (t, there, slope_there) = function(0.0), trials[-1]
    assert search.outcome == "wolfe"
    assert search.step == t
    assert there <= value + SUFFICIENT * t * slope
    assert abs(slope_there) <= CURVATURE * abs(slope)


@settings(max_examples=60, deadline=None)
@given(functions, steps)
def test_put_away_before_every_trial_it_makes_the_same_ones(function, step):
    assert run(LineSearch(), function, step)[1] == run(LineSearch(), function, step, restoring=True)[1]


@pytest.mark.parametrize("restoring", [False, True])
@pytest.mark.parametrize("cliff", [0.9, 0.1, 0.004])
@pytest.mark.parametrize("beyond", [(math.nan, math.nan), (math.inf, 1.0), (-5.0, math.nan), (-math.inf, -1.0)])
def test_a_step_beyond_which_nothing_is_finite_is_too_long(cliff, beyond, restoring):
    def function(t):
        return ((t - 1) ** 2, 2 * (t - 1)) if t < cliff else beyond

    search, trials = run(LineSearch(), function, 1.0, restoring)
    assert trials[0][0] == 1.0
    assert search.outcome in ("wolfe", "decrease")
    assert 0 < search.step < cliff
    assert len(trials) < 7


def test_beyond_the_edge_it_goes_back_to_the_last_good_trial():
    search, trials = run(LineSearch(), lambda t: (-t, -1.0) if t < 50 else (math.nan, math.nan), 1.0)
    assert (search.outcome, search.step) == ("decrease", 10.0)
    assert [t for t, *_ in trials] == [1.0, 10.0, 100.0]


def test_a_slope_that_never_flattens_ends_with_the_longest_step_tried():
    search, trials = run(LineSearch(evaluations=6), lambda t: (-t, -1.0), 1.0)
    assert search.outcome == "decrease"
    assert search.step == trials[-1][0] == 1e5


def test_a_value_that_never_decreases_fails():
    search, trials = run(LineSearch(evaluations=9), lambda t: (1.0 + (t > 0), -1.0), 1.0)
    assert search.outcome == "failed"
    assert search.step == 0.0
    assert len(trials) == 9


def test_a_decrease_too_small_to_matter_ends_the_search():
    search, trials = run(LineSearch(negligible=1e-3), lambda t: (1.0 + (t > 0), -1e-2), 1.0)
    assert search.outcome == "failed"
    assert len(trials) < 9


def test_the_first_trial_is_taken_where_it_is_good():
    _, trials = run(LineSearch(), lambda t: ((t - 1) ** 2, 2 * (t - 1)), 1.0)
    assert len(trials) == 1


@pytest.mark.parametrize(("value", "slope", "step"), [(0, 1, 1), (0, 0, 1), (math.nan, -1, 1), (0, -1, 0)])
def test_what_is_no_descent_is_refused(value, slope, step):
    with pytest.raises(ValueError, match="expected a descent"):
        LineSearch().begin(value, slope, step)


@pytest.mark.parametrize("restoring", [False, True])
def test_it_goes_no_further_than_it_may(restoring):
    def function(t):
        return (t - 100) ** 2, 2 * (t - 100)

    search, trials = run(LineSearch(curvature=0.1), function, 1.0, restoring, longest=7.0)
    assert search.outcome == "longest"
    assert search.step == 7.0 == max(t for t, *_ in trials)
    search, _ = run(LineSearch(curvature=0.1), function, 1.0, restoring, longest=1000.0)
    assert search.outcome == "wolfe"
