"""CMA-ES on functions whose minimum is known, and its restarts, which must not change a byte."""

import numpy as np
import pytest
from searching import FormulaScorer, best, content, drive, run_rounds

from lcsc.errors import InputError, LcscError
from lcsc.search import SearchSpace, make_search, project
from lcsc.search.cmaes import cosine_basis
from lcsc.search.minimise import minimise

SPACE = SearchSpace(tuple(range(100, 1100, 100)))
TARGET = project(np.linspace(-0.6, 1.2, 10)[None])
STRETCH = np.geomspace(1, 30, 10)
SETTINGS = {"method": "cma-es", "seed": 0, "sigma": 0.2}


def bowl(coefficients):
    """Curved a thousand times more along some coefficients than along others; 0 at the target."""
    return float(np.square((coefficients - TARGET) * STRETCH).sum())


@pytest.mark.parametrize("count", [2, 3, 40])
def test_the_basis_is_orthonormal_and_sums_to_zero(count):
    basis = cosine_basis(count)
    np.testing.assert_allclose(basis @ basis.T, np.eye(count - 1), atol=1e-13)
    np.testing.assert_allclose(basis.sum(axis=1), 0, atol=1e-13)


def test_it_finds_the_minimum_of_an_ill_conditioned_bowl():
    found = minimise(bowl, SPACE.steps, evaluations=3000, method="cma-es", sigma=0.2)
    np.testing.assert_allclose(found.coefficients, TARGET, atol=1e-4)
    assert found.score < 1e-6


def test_without_adapting_it_would_not():
    """Random search of as many evaluations is far away: the test above can fail."""
    assert minimise(bowl, SPACE.steps, evaluations=3000, method="random").score > 0.1


def test_it_stops_when_it_has_converged():
    search = make_search({**SETTINGS, "population": 12}, SPACE)
    told = drive(search, bowl, 2000)
    assert search.reason == "converged"
    assert search.ask() == []
    assert len(told) < 1000
    assert best(told).score < 1e-15


def test_separable_finds_it_with_more_evaluations_and_for_groups():
    target = np.stack([TARGET[0], TARGET[0, ::-1]])
    found = minimise(
        lambda c: float(np.square(c - target).sum()),
        SPACE.steps, evaluations=3000, method="cma-es", groups=2, separable=True, sigma=0.2,
    )  # fmt: skip
    np.testing.assert_allclose(found.coefficients, target, atol=1e-3)


@pytest.mark.parametrize(("count", "groups", "separable"), [(101, 1, False), (102, 1, True), (10, 12, True)])
def test_auto_is_separable_above_a_hundred_variables(count, groups, separable):
    search = make_search(SETTINGS, SearchSpace(tuple(range(1, count + 1)), groups))
    assert search.variables == groups * (count - 1)
    assert search.separable is separable


def test_it_scores_the_averages_first_then_samples_as_many_as_the_tutorial_says():
    told = drive(make_search(SETTINGS, SPACE), bowl, 3)
    assert [item.candidate.origin for item in told[0]][:3] == ["last", "uniform", "ema-shaped 0.9"]
    assert [len(generation) for generation in told[1:]] == [4 + int(3 * np.log(9))] * 2
    middle = np.mean([item.candidate.coefficients for item in told[1]], axis=0)
    assert np.abs(middle - best(told[:1]).candidate.coefficients).max() < 0.3


def test_rows_sum_to_one():
    told = drive(make_search(SETTINGS, SearchSpace(SPACE.steps, 3)), lambda c: float(np.square(c).sum()), 30)
    rows = np.concatenate([item.candidate.coefficients for generation in told for item in generation])
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_the_penalty_pulls_towards_the_start():
    def middle(penalty):
        search = make_search({**SETTINGS, "start": "uniform", "penalty": penalty}, SPACE)
        told = drive(search, lambda c: float(np.square(c - TARGET).sum()), 150)
        return np.mean([item.candidate.coefficients for item in told[-1]], axis=0)

    np.testing.assert_allclose(middle(3.0), 0.25 * TARGET + 0.75 * 0.1, atol=1e-3)
    np.testing.assert_allclose(middle(0.0), TARGET, atol=1e-3)
    with pytest.raises(InputError, match="penalty -1 is no strength"):
        middle(-1)


def half(coefficients):
    return None if coefficients[0, 0] > 0.1 else bowl(coefficients)


@pytest.mark.parametrize("separable", [True, False])
def test_candidates_without_a_score_are_the_worst(separable):
    search = make_search({**SETTINGS, "separable": separable}, SPACE)
    told = drive(search, half, 80)
    assert any(item.score is None for generation in told[1:] for item in generation)
    assert all(item.score is not None for item in told[-1])
    assert best(told).score < 1


def test_generations_without_any_score_are_survived():
    search = make_search(SETTINGS, SPACE)
    drive(search, bowl, 1)
    drive(search, lambda coefficients: None, 5)
    assert np.isfinite([candidate.coefficients for candidate in search.ask()]).all()


@pytest.mark.parametrize("settings", [{}, {"separable": True}, {"penalty": 0.5}, {"start": "uniform"}])
@pytest.mark.parametrize("groups", [1, 2])
def test_it_goes_on_the_same_after_any_generation(tmp_path, settings, groups):
    chosen, space = {**SETTINGS, **settings}, SearchSpace(SPACE.steps, groups)
    run_rounds(tmp_path / "whole", chosen, space, FormulaScorer(half), [(0, 12)])
    run_rounds(tmp_path / "cut", chosen, space, FormulaScorer(half), [(n, 1) for n in range(12)])
    assert content(tmp_path / "cut", 12) == content(tmp_path / "whole", 12)


@pytest.mark.parametrize("evaluations", [0, 9, 10, 11, 25, 60])
def test_it_goes_on_the_same_after_a_kill(tmp_path, evaluations):
    run_rounds(tmp_path / "whole", SETTINGS, SPACE, FormulaScorer(bowl), [(0, 7)])
    with pytest.raises(KeyboardInterrupt):
        run_rounds(tmp_path / "killed", SETTINGS, SPACE, FormulaScorer(bowl, evaluations), [(0, 7)])
    run_rounds(tmp_path / "killed", SETTINGS, SPACE, FormulaScorer(bowl), [(0, 7)])
    assert content(tmp_path / "killed", 7) == content(tmp_path / "whole", 7)


def test_seeds_differ():
    first, second = (make_search({**SETTINGS, "seed": seed, "start": "last"}, SPACE).ask()[0] for seed in (0, 1))
    assert first.fingerprint != second.fingerprint


def test_two_checkpoints_are_enough():
    target = np.array([[1.3, -0.3]])
    found = minimise(lambda c: float(np.square(c - target).sum()), [1, 2], evaluations=400, method="cma-es", sigma=0.1)
    np.testing.assert_allclose(found.coefficients, target, atol=1e-4)


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(InputError, match="separable true needs two variables or more"):
        make_search({**SETTINGS, "separable": True, "start": "last"}, SearchSpace((1, 2)))
    with pytest.raises(InputError, match="start 'first' is no start"):
        make_search({**SETTINGS, "start": "first"}, SPACE)
    with pytest.raises(LcscError, match="no average of the checkpoints has a score"):
        drive(make_search(SETTINGS, SPACE), lambda coefficients: None, 1)
    search = make_search(SETTINGS, SPACE)
    told = drive(search, bowl, 3)
    with pytest.raises(InputError, match="generation 2: found 9 candidates, expected 10 of cma-es"):
        make_search(SETTINGS, SPACE).restore(search.state(), [*told[:2], told[2][:9]])
    with pytest.raises(InputError, match=r"cma-es: .* after its generations, expected"):
        make_search(SETTINGS, SPACE).restore(search.state(), told[:2])
