"""Random search: draws around the best average, which nothing found later moves."""

import json

import numpy as np
import pytest
from searching import FormulaScorer, content, drive, run_rounds

from lcsc.errors import LcscError
from lcsc.search import SearchSpace, make_search
from lcsc.search.minimise import minimise

SPACE = SearchSpace(tuple(range(100, 1100, 100)), 2)
SETTINGS = {"method": "random", "seed": 0, "population": 200}
TARGET = np.stack([np.linspace(-0.1, 0.3, 10), np.linspace(-0.2, 0.4, 10)])


def bowl(coefficients):
    return float(np.square(coefficients - TARGET).sum())


def test_draws_lie_around_the_best_average_whatever_was_found():
    told = drive(make_search(SETTINGS, SPACE), bowl, 3)
    centre = min(told[0], key=lambda item: item.order)
    assert centre.candidate.origin.startswith("ema-shaped")
    for generation in told[1:]:
        moves = np.stack([item.candidate.coefficients for item in generation]) - centre.candidate.coefficients
        np.testing.assert_allclose(moves.sum(axis=2), 0, atol=1e-12)
        assert np.abs(moves.mean(axis=0)).max() < 0.02
        scales = moves.std(axis=(1, 2))
        assert scales.min() < 0.003
        assert 0.05 < scales.max() < 0.15


def test_no_two_draws_are_alike():
    prints = [item.candidate.fingerprint for g in drive(make_search(SETTINGS, SPACE), bowl, 4) for item in g]
    assert len(set(prints)) == len(prints) == 10 + 3 * 200


def test_evolution_beats_it():
    """Both have the same moves: selection makes the difference."""
    row = TARGET[:1]
    scores = [
        minimise(lambda c: float(np.square(c - row).sum()), SPACE.steps, evaluations=900, method=method).score
        for method in ("random", "evolution")
    ]
    assert scores[1] < 0.5 * scores[0]


@pytest.mark.parametrize("rounds", [[(n, 1) for n in range(4)], [(0, 3), (3, 1)]])
def test_rounds_do_not_change_the_bytes(tmp_path, rounds):
    chosen = SETTINGS | {"population": 7}
    run_rounds(tmp_path / "whole", chosen, SPACE, FormulaScorer(bowl), [(0, 4)])
    run_rounds(tmp_path / "cut", chosen, SPACE, FormulaScorer(bowl), rounds)
    assert content(tmp_path / "cut", 4) == content(tmp_path / "whole", 4)


def test_its_state_is_json_and_it_needs_a_centre():
    search = make_search(SETTINGS, SPACE)
    drive(search, bowl, 2)
    assert json.loads(json.dumps(search.state())) == search.state()
    with pytest.raises(LcscError, match="random: no average of the checkpoints has a score"):
        drive(make_search(SETTINGS, SPACE), lambda coefficients: None, 1)
