"""Budgets: where a search ends, and that it ends there in any rounds and after any kill."""

import json

import numpy as np
import pytest
from searching import FormulaScorer, content, run_rounds
from small_workflow import small_config

from lcsc.config import resolve
from lcsc.errors import InputError
from lcsc.evaluation import Score
from lcsc.search import SearchSpace
from lcsc.search.budget import Budget
from lcsc.search.generations import chain_paths, generation_path, read_chain
from lcsc.search.journal import Journal
from lcsc.search.minimise import DEFAULTS

SPACE = SearchSpace((10, 20, 30, 40))
EVOLUTION = {"method": "evolution", "seed": 0, **DEFAULTS["evolution"], "population": 6, "parents": 4}
SEARCHES = {
    "evolution": EVOLUTION,
    "cma-es": {"method": "cma-es", "seed": 0, "sigma": 0.2, "initial_rates": [0.9]},
    "random": {"method": "random", "seed": 0, "population": 6, "initial_rates": [0.9]},
    "greedy-soup": {"method": "greedy-soup"},
}
LIMITS = {"evolution": 45, "cma-es": 40, "random": 45, "greedy-soup": 6}


def bowl(coefficients):
    return float(np.square(coefficients - [[2, -1, 0.5, -0.5]]).sum())


def counts(folder, count):
    return [len(generation.scored) for generation in read_chain(chain_paths(folder, count))]


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("rounds", [[(n, 1) for n in range(12)], [(0, 7), (7, 5)]])
def test_evaluations_end_a_search_in_the_same_place_in_any_rounds(tmp_path, method, rounds):
    settings = {**SEARCHES[method], "evaluations": LIMITS[method]}
    run_rounds(tmp_path / "whole", settings, SPACE, FormulaScorer(bowl), [(0, 12)])
    run_rounds(tmp_path / "cut", settings, SPACE, FormulaScorer(bowl), rounds)
    assert content(tmp_path / "cut", 12) == content(tmp_path / "whole", 12)
    found = counts(tmp_path / "whole", 12)
    free = counts(unlimited(tmp_path / "free", method), 12)
    ended = found.index(0)
    assert found[:ended] == free[:ended]
    assert sum(found) <= LIMITS[method] < sum(free[: ended + 1])
    records = [json.loads(generation_path(tmp_path / "whole", n).read_text()) for n in range(12)]
    assert {record["reason"] for record in records[ended:]} == {"evaluations used up"}
    assert {record["reason"] for record in records[:ended]} == {None}
    assert [record["stopped"] for record in records] == [False] * ended + [True] * (12 - ended)


def unlimited(folder, method):
    run_rounds(folder, SEARCHES[method], SPACE, FormulaScorer(bowl), [(0, 12)])
    return folder


def test_a_search_killed_before_its_end_ends_in_the_same_place(tmp_path):
    settings = {**EVOLUTION, "evaluations": 40}
    run_rounds(tmp_path / "whole", settings, SPACE, FormulaScorer(bowl), [(0, 9)])
    for kill in (0, 17, 35):
        with pytest.raises(KeyboardInterrupt):
            run_rounds(tmp_path / f"{kill}", settings, SPACE, FormulaScorer(bowl, kill), [(0, 9)])
        run_rounds(tmp_path / f"{kill}", settings, SPACE, FormulaScorer(bowl), [(0, 9)])
        assert content(tmp_path / f"{kill}", 9) == content(tmp_path / "whole", 9)


def test_a_larger_budget_scores_only_what_is_new(tmp_path):
    run_rounds(tmp_path, {**EVOLUTION, "evaluations": 18}, SPACE, FormulaScorer(bowl), [(0, 6)])
    again = FormulaScorer(bowl)
    run_rounds(tmp_path, {**EVOLUTION, "evaluations": 30}, SPACE, again, [(0, 6)])
    assert again.calculated == 12
    assert counts(tmp_path, 6) == [6, 6, 6, 6, 6, 0]


@pytest.mark.parametrize("seconds", [3.5, 4.0])
def test_seconds_of_earlier_jobs_count(tmp_path, seconds):
    """A third of a second for a score: 2 s a generation, and the one that uses up the seconds is the last."""
    settings = {**EVOLUTION, "seconds": seconds}
    run_rounds(tmp_path / "a", settings, SPACE, FormulaScorer(bowl, seconds=1 / 3 + 1e-6), [(0, 5)])
    assert counts(tmp_path / "a", 5) == [6, 6, 0, 0, 0]
    run_rounds(tmp_path / "b", settings, SPACE, FormulaScorer(bowl, seconds=1 / 3 + 1e-6), [(n, 1) for n in range(5)])
    assert content(tmp_path / "a", 5) == content(tmp_path / "b", 5)
    with pytest.raises(KeyboardInterrupt):
        run_rounds(tmp_path / "c", settings, SPACE, FormulaScorer(bowl, 9, seconds=1 / 3 + 1e-6), [(0, 5)])
    run_rounds(tmp_path / "c", settings, SPACE, FormulaScorer(bowl, seconds=1 / 3 + 1e-6), [(0, 5)])
    assert content(tmp_path / "a", 5) == content(tmp_path / "c", 5)


def test_workers_share_seconds():
    budget = Budget(seconds=10, workers=4)
    budget.spend([Score(1.0, seconds=8.0)] * 4)
    assert budget.used_seconds == 8
    budget.spend([Score(1.0, seconds=1.5, gradient=np.ones((1, 2)))])
    assert budget.used_seconds == 9.5
    assert budget.reason(1, False) is None
    budget.spend([Score(1.0, seconds=2.0)])
    assert budget.reason(1, False) == "seconds used up"


def test_gradients_are_counted_apart():
    budget = Budget(evaluations=13, gradients=2)
    budget.spend([Score(1.0)] * 10)
    assert budget.reason(1, True) is None
    budget.spend([Score(1.0, gradient=np.ones((1, 2)))] * 2)
    assert (budget.used_evaluations, budget.used_gradients) == (12, 2)
    assert budget.reason(1, True) == "gradients used up"
    assert budget.reason(1, False) is None
    assert budget.reason(2, False) == "evaluations used up"


@pytest.mark.parametrize("rounds", [[(0, 9)], [(n, 1) for n in range(9)]])
def test_a_gradient_search_ends_with_its_gradients(tmp_path, rounds):
    settings = {"method": "gradient", "initial_rates": [0.9], "gradients": 4}
    run_rounds(tmp_path, settings, SPACE, Slopes(bowl), rounds)
    assert counts(tmp_path, 9) == [3, 1, 1, 1, 1, 0, 0, 0, 0]
    last = json.loads(generation_path(tmp_path, 8).read_text())
    assert (last["reason"], last["state"]["evaluations"]) == ("gradients used up", 4)


class Slopes(FormulaScorer):
    """Scores of a stretched bowl, with their gradients where they are wanted."""

    def __call__(self, candidates, journal: Journal, gradients, done):
        scores = []
        for candidate in candidates:
            away = (candidate.coefficients - [[2, -1, 0.5, -0.5]]) * [[1, 3, 10, 30]]
            slope = 2 * away * [[1, 3, 10, 30]] if gradients else None
            scores.append(Score(float(np.square(away).sum()), gradient=slope))
            done(scores[-1], False)
        return scores


def test_a_budget_below_the_first_generation_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"not even the first generation is within the budget \(evaluations used up\)"):
        run_rounds(tmp_path, {**EVOLUTION, "evaluations": 5}, SPACE, FormulaScorer(bowl), [(0, 2)])
    assert not generation_path(tmp_path, 0).exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"evaluations": 5}, r"evaluations: found 5, expected at least 6, the candidates of the first generation"),
        ({"evaluations": 6, "finalists": 7}, r"finalists: found 7, expected at most the candidates scored \(6\)"),
        ({"seconds": 0}, "seconds: found 0, expected a number above 0 or null"),
        ({"evaluations": 7.5}, "evaluations: found 7.5, expected a whole number of at least 1 or null"),
    ],
)
def test_budgets_that_cannot_be_are_refused(changed, message):
    config = small_config()
    config["defaults"]["searches"]["evolution"] |= changed
    with pytest.raises(InputError, match=message):
        resolve(config, "given.yaml")
