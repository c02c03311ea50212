"""Patience on stopping noise, and the finalists that it adds."""

import numpy as np
import pytest

from lcsc.evaluation import Score
from lcsc.search import SearchSpace, make_search
from lcsc.search.base import Candidate, Scored
from lcsc.search.driver import run_generations
from lcsc.search.generations import Generation, chain_paths, read_chain
from lcsc.search.patience import Look, Patience
from lcsc.selection import finalists

SPACE = SearchSpace((10, 20, 30, 40))
SETTINGS = {
    "method": "gradient", "start": "uniform", "stopping": {"every": 2, "patience": 2, "images": None},
}  # fmt: skip
ABOUT = {"method": "gradient", "search": "g", "protocol": "p", "bank": "b", "settings": SETTINGS}
TARGET = np.array([[2.0, -1, 0.5, -0.5]])


def gradient_scores(candidates, journal, wants_gradients, done):
    found = []
    for candidate in candidates:
        away = candidate.coefficients - TARGET
        found.append(Score(float(np.sum(away**4)), gradient=4 * away**3))
        done(found[-1], False)
    return found


def run(folder, rounds, stopping):
    for first, count in rounds:
        run_generations(make_search(SETTINGS, SPACE), gradient_scores, folder, first=first, count=count, about=ABOUT, stopping=stopping)  # fmt: skip # noqa: E501
    return read_chain(chain_paths(folder, sum(count for _, count in rounds)))


class Stopping:
    """Stopping scores that fall for some looks, then rise."""

    def __init__(self, falls):
        self.looks, self.falls, self.seen = 0, falls, {}

    def __call__(self, candidate):
        self.looks += 1
        place = self.seen.setdefault(candidate.fingerprint, len(self.seen))
        return Score(10.0 - place if place < self.falls else 20.0)


def test_looks_without_a_gain_end_the_search_and_say_why(tmp_path):
    stopping = Stopping(falls=2)
    chain = run(tmp_path, [(0, 20)], stopping)
    scored = [generation for generation in chain if generation.scored]
    assert [generation.number for generation in scored if generation.look] == [0, 2, 4, 6]
    assert len(scored) == 7
    assert {generation.reason for generation in chain[7:]} == {"patience"}
    best = chain[2].look
    chosen = finalists(chain, 1)
    assert (best.generation, best.candidate) in [(row["generation"], row["candidate"]) for row in chosen]


@pytest.mark.parametrize("rounds", [[(0, 1)] + [(n, 1) for n in range(1, 12)], [(0, 3), (3, 9)], [(0, 7), (7, 5)]])
def test_the_same_bytes_in_any_rounds(tmp_path, rounds):
    run(tmp_path / "once", [(0, 12)], Stopping(falls=2))
    run(tmp_path / "rounds", rounds, Stopping(falls=2))
    for one, other in zip(chain_paths(tmp_path / "once", 12), chain_paths(tmp_path / "rounds", 12), strict=True):
        assert one.read_bytes() == other.read_bytes()


def scored(score, iteration=0, place=0):
    row = np.zeros((1, 4))
    row[0, place % 4] = 1
    return Scored(Candidate(row + 0.01 * place, str(place), iteration), score)


def test_the_incumbent_is_the_best_on_fixed_noise_and_the_last_on_fresh():
    patience = Patience(1, 3)
    patience.see(0, [scored(5.0), scored(3.0), scored(None)])
    assert patience.due(0)[:2] == (0, 1)
    patience.see(1, [scored(4.0)])
    assert patience.due(1)[:2] == (0, 1)
    patience.see(2, [scored(9.0, iteration=3)])
    assert patience.due(2)[:2] == (2, 0)


def test_a_look_without_a_score_is_no_gain():
    patience = Patience(1, 2)
    patience.take(Look(0, 0, 4.0))
    patience.take(Look(1, 0, None))
    assert patience.reason is None
    patience.take(Look(2, 0, 4.0))
    assert patience.reason == "patience"


def chain_of(items):
    return [
        Generation(number, "p", "b", {}, tuple(row), (None,) * len(row), {}, None) for number, row in enumerate(items)
    ]


def test_finalists_on_fresh_noise_are_spread_and_not_ranked():
    starts = [scored(1.0, place=0), scored(2.0, place=1)]
    fresh = [[scored(9.0 - number, iteration=number, place=number + 2)] for number in range(1, 9)]
    chosen = finalists(chain_of([starts, *fresh]), 4)
    assert [row["generation"] for row in chosen] == [8, 6, 4, 2]
    assert [row["generation"] for row in finalists(chain_of([starts, *fresh[:2]]), 5)] == [2, 1]


def test_generations_after_the_end_change_no_finalist():
    items = [[scored(9.0 - number, place=number)] for number in range(8)]
    assert finalists(chain_of([*items, *[[]] * 30]), 2) == finalists(chain_of(items), 2)
