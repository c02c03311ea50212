"""Greedy soup on checkpoints that are points in a plane: the score of an average is its distance to a target."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import FormulaScorer, best, content, drive, run_rounds

from lcsc.errors import InputError, LcscError
from lcsc.search import SearchSpace, make_search

POINTS = np.array([[4.0, 0.0], [1.0, 1.0], [-1.2, 1.0], [0.0, -1.5], [9.0, 9.0], [0.5, 3.0]])
SPACE = SearchSpace((10, 20, 30, 40, 50, 60))


def distance(coefficients):
    return float(np.linalg.norm(coefficients[0] @ POINTS))


def soup(variant, points=POINTS, score=None):
    search = make_search({"method": "greedy-soup", "variant": variant}, SearchSpace(tuple(range(1, len(points) + 1))))
    told = drive(search, score or (lambda c: float(np.linalg.norm(c[0] @ points))), 1000)
    return search, told


def written_down(points):
    """The recipe once more, in the plainest way."""
    order = sorted(range(len(points)), key=lambda k: np.linalg.norm(points[k]))
    taken = order[:1]
    for k in order[1:]:
        if np.linalg.norm(points[[*taken, k]].mean(axis=0)) < np.linalg.norm(points[taken].mean(axis=0)):
            taken.append(k)
    return taken


def test_ordered_takes_what_improves_in_order_of_rank():
    search, told = soup("ordered")
    assert [item.candidate.origin for item in told[0]] == [f"single {k}" for k in range(1, 7)]
    assert [len(generation) for generation in told] == [6, 1, 1, 1, 1, 1]
    assert search.reason == "tried all"
    assert search.state()["soup"] == [k + 1 for k in written_down(POINTS)]
    np.testing.assert_allclose(np.count_nonzero(best(told).candidate.coefficients), len(written_down(POINTS)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=8))
def test_any_points(points):
    array = np.array(points) + 0.1
    search, told = soup("ordered", array)
    chosen = [k - 1 for k in search.state()["soup"]]
    row = np.zeros(len(array))
    row[chosen] = 1 / len(chosen)
    found = np.linalg.norm(row @ array)
    assert found == pytest.approx(best(told).score, abs=1e-12)
    assert found <= np.linalg.norm(array, axis=1).min()


def test_best_addition_ends_where_none_helps():
    search, told = soup("best-addition")
    chosen = [k - 1 for k in search.state()["soup"]]
    others = [k for k in range(6) if k not in chosen]
    here = np.linalg.norm(POINTS[chosen].mean(axis=0))
    assert search.reason == "no addition helps"
    assert all(np.linalg.norm(POINTS[[*chosen, k]].mean(axis=0)) >= here for k in others)
    assert [len(generation) for generation in told] == [6, *range(5, 5 - len(chosen), -1)]
    assert here < min(np.linalg.norm((POINTS[a] + POINTS[b]) / 2) for a, b in itertools.combinations(range(6), 2))


def test_checkpoints_without_a_score_are_left_out():
    search, told = soup("ordered", score=lambda c: None if c[0, 1] == 1 else distance(c))
    assert 2 not in search.state()["soup"]
    assert len(told) == 5
    with pytest.raises(LcscError, match="greedy-soup: no checkpoint has a score"):
        soup("ordered", score=lambda c: None)


@pytest.mark.parametrize("variant", ["ordered", "best-addition"])
def test_rounds_do_not_change_the_bytes(tmp_path, variant):
    chosen = {"method": "greedy-soup", "variant": variant}
    run_rounds(tmp_path / "whole", chosen, SPACE, FormulaScorer(distance), [(0, 9)])
    run_rounds(tmp_path / "cut", chosen, SPACE, FormulaScorer(distance), [(n, 1) for n in range(9)])
    assert content(tmp_path / "cut", 9) == content(tmp_path / "whole", 9)


def test_an_unknown_variant_and_another_history_are_refused():
    with pytest.raises(InputError, match="variant 'random' is unknown, expected one of ordered, best-addition"):
        make_search({"method": "greedy-soup", "variant": "random"}, SPACE)
    search = make_search({"method": "greedy-soup"}, SPACE)
    told = drive(search, distance, 4)
    with pytest.raises(InputError, match=r"greedy-soup: .* after its generations, expected"):
        make_search({"method": "greedy-soup"}, SPACE).restore(search.state(), told[:2])
