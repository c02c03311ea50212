"""Rounds of generations: the same bytes however they are cut, and after a kill."""

import json

import numpy as np
import pytest
from records import rewrite

from lcsc.errors import InputError, LcscError
from lcsc.evaluation import Score
from lcsc.search import SearchSpace, make_search
from lcsc.search.driver import open_journal, run_generations
from lcsc.search.generations import chain_paths, generation_path, read_chain, read_generation
from lcsc.search.minimise import DEFAULTS

SPACE = SearchSpace((10, 20, 30, 40))
SETTINGS = {"method": "evolution", "seed": 0, **DEFAULTS["evolution"], "population": 6, "parents": 4}
ABOUT = {
    "method": "evolution",
    "search": "evolution",
    "protocol": "p" * 64,
    "bank": "b",
    "settings": SETTINGS,
}


class Scorer:
    """Scores by a formula, through the journal, and counts what it had to calculate."""

    def __init__(self, stop_after=None):
        self.calculated, self.stop_after = 0, stop_after

    def __call__(self, candidates, journal, wants_gradients, done):
        scores = []
        for candidate in candidates:
            score = journal.get(candidate)
            known = score is not None
            if not known:
                if self.calculated == self.stop_after:
                    raise KeyboardInterrupt
                self.calculated += 1
                score = Score(float(np.square(candidate.coefficients - [[2, -1, 0.5, -0.5]]).sum()))
                journal.add(candidate, score)
            done(score, known)
            scores.append(score)
        return scores


def run(folder, rounds, scorer=None, about=ABOUT):
    scorer = scorer or Scorer()
    for first, count in rounds:
        search = make_search(SETTINGS, SPACE)
        tally = run_generations(search, scorer, folder, first=first, count=count, about=about)
    return tally


def content(folder, count):
    return [generation_path(folder, number).read_bytes() for number in range(count)]


@pytest.mark.parametrize("rounds", [[(n, 1) for n in range(10)], [(0, 7), (7, 3)], [(0, 4), (4, 4), (8, 2)]])
def test_rounds_do_not_change_the_bytes(tmp_path, rounds):
    run(tmp_path / "whole", [(0, 10)])
    run(tmp_path / "cut", rounds)
    assert content(tmp_path / "cut", 10) == content(tmp_path / "whole", 10)


def test_a_killed_round_goes_on_from_its_journal(tmp_path):
    run(tmp_path / "whole", [(0, 5)])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", [(0, 5)], Scorer(stop_after=15))
    again = Scorer()
    tally = run(tmp_path / "killed", [(0, 5)], again)
    assert again.calculated == 30 - 15
    assert (tally.evaluations, tally.known) == (30, 15)
    assert content(tmp_path / "killed", 5) == content(tmp_path / "whole", 5)


def test_the_best_score_falls_over_generations(tmp_path):
    run(tmp_path, [(0, 12)])
    best = [min(i.order for i in read_generation(generation_path(tmp_path, n)).scored) for n in range(12)]
    assert min(best) < best[0]


def test_a_changed_generation_breaks_the_chain(tmp_path):
    run(tmp_path, [(0, 3)])
    path = generation_path(tmp_path, 1)
    record = json.loads(path.read_text())
    record["candidates"][0]["score"] += 1.0
    rewrite(path, record)
    with pytest.raises(InputError, match=r"generation-0002\.json: does not follow generation 1"):
        run(tmp_path, [(3, 1)])


def test_another_protocol_or_other_settings_are_refused(tmp_path):
    run(tmp_path, [(0, 2)])
    with pytest.raises(InputError, match="protocol pppppppppppp, expected qqqqqqqqqqqq"):
        run(tmp_path, [(2, 1)], about=ABOUT | {"protocol": "q" * 64})
    with pytest.raises(InputError, match="made from bank b, expected c"):
        run(tmp_path, [(2, 1)], about=ABOUT | {"bank": "c"})
    with pytest.raises(InputError, match="other settings of the search"):
        run(tmp_path, [(2, 1)], about=ABOUT | {"settings": SETTINGS | {"crossover": 0.1}})


def test_a_missing_generation_is_named(tmp_path):
    run(tmp_path, [(0, 2)])
    with pytest.raises(InputError, match=r"generation-0002\.json: not found"):
        run(tmp_path, [(3, 1)])


def test_candidates_without_images_are_kept_with_their_reason(tmp_path):
    def scorer(candidates, journal, wants_gradients, done):
        scores = [Score(None, "not finite") if i == 0 else Score(float(i)) for i in range(len(candidates))]
        for score in scores:
            done(score, False)
        return scores

    tally = run_generations(make_search(SETTINGS, SPACE), scorer, tmp_path, first=0, count=1, about=ABOUT)
    generation = read_generation(generation_path(tmp_path, 0))
    assert generation.scored[0].score is None
    assert generation.reasons[0] == "not finite"
    assert tally.best == 1.0
    assert tally.failed == ["not finite"]


def test_a_generation_without_any_score_is_an_error(tmp_path):
    def scorer(candidates, journal, wants_gradients, done):
        return [Score(None, "the combined weights are not finite")] * len(candidates)

    with pytest.raises(LcscError, match=r"generation 0: no candidate could be scored \(the combined weights"):
        run_generations(make_search(SETTINGS, SPACE), scorer, tmp_path, first=0, count=1, about=ABOUT)
    assert not generation_path(tmp_path, 0).exists()


def test_journal_is_kept_beside_the_generations(tmp_path):
    run(tmp_path, [(0, 2)])
    assert len(open_journal(tmp_path, ABOUT)) == 12
    longer = {**ABOUT, "settings": {**SETTINGS, "evaluations": 500, "seconds": 9.0, "stopping": None}}
    assert len(open_journal(tmp_path, longer)) == 12
    assert len(open_journal(tmp_path, {**ABOUT, "settings": {**SETTINGS, "population": 7}})) == 0


def test_another_search_does_not_leave_its_generations_behind_new_ones(tmp_path):
    other = SETTINGS | {"seed": 9}
    search = make_search(other, SPACE)
    about = ABOUT | {"settings": other}
    run_generations(search, Scorer(), tmp_path / "mixed", first=0, count=5, about=about)
    run(tmp_path / "mixed", [(0, 2)])
    assert sorted(path.name for path in (tmp_path / "mixed").glob("*.json")) == [
        "generation-0000.json",
        "generation-0001.json",
    ]
    run(tmp_path / "mixed", [(2, 3)])
    run(tmp_path / "whole", [(0, 5)])
    assert content(tmp_path / "mixed", 5) == content(tmp_path / "whole", 5)


def test_a_chain_of_two_searches_is_refused(tmp_path):
    run(tmp_path / "a", [(0, 3)])
    other = SETTINGS | {"seed": 9}
    about = ABOUT | {"settings": other}
    run_generations(make_search(other, SPACE), Scorer(), tmp_path / "b", first=0, count=3, about=about)
    paths = chain_paths(tmp_path / "a", 3)
    assert len(read_chain(paths)) == 3
    with pytest.raises(InputError, match="other settings of the search"):
        read_chain([*paths[:2], generation_path(tmp_path / "b", 2)])
    with pytest.raises(InputError, match=r"generation-0002\.json: does not follow generation 0"):
        read_chain([paths[0], paths[2]])


QUADRATIC = {"method": "gradient", "groups": "all", "initial_rates": [0.9]}


class GradientScorer(Scorer):
    """The same formula with its gradient where that is wanted, through the journal."""

    def __call__(self, candidates, journal, wants_gradients, done):
        scores = []
        for candidate in candidates:
            score = journal.get(candidate, with_gradient=wants_gradients)
            known = score is not None
            if not known:
                if self.calculated == self.stop_after:
                    raise KeyboardInterrupt
                self.calculated += 1
                away = (candidate.coefficients - [[2, -1, 0.5, -0.5]]) * [[1, 3, 10, 30]]
                gradient = 2 * away * [[1, 3, 10, 30]] if wants_gradients else None
                score = Score(float(np.square(away).sum()), gradient=gradient)
                journal.add(candidate, score, wants_gradients)
            done(score, known)
            scores.append(score)
        return scores


def run_gradient(folder, rounds, scorer=None):
    about = ABOUT | {"settings": QUADRATIC, "method": "gradient", "search": "gradient"}
    for first, count in rounds:
        search = make_search(QUADRATIC, SPACE)
        run_generations(search, scorer or GradientScorer(), folder, first=first, count=count, about=about)


@pytest.mark.parametrize("rounds", [[(n, 1) for n in range(40)], [(0, 7), (7, 33)]])
def test_a_gradient_search_is_the_same_in_rounds_of_any_length_and_stops(tmp_path, rounds):
    run_gradient(tmp_path / "whole", [(0, 40)])
    run_gradient(tmp_path / "cut", rounds)
    assert content(tmp_path / "cut", 40) == content(tmp_path / "whole", 40)
    chain = read_chain(chain_paths(tmp_path / "whole", 40))
    assert not chain[-1].scored
    assert min(item.order for generation in chain for item in generation.scored) < 1e-6
    assert json.loads(generation_path(tmp_path / "whole", 39).read_text())["stopped"]


@pytest.mark.parametrize("evaluations", range(4, 16))
def test_a_gradient_search_killed_at_any_evaluation_goes_on_the_same(tmp_path, evaluations):
    run_gradient(tmp_path / "whole", [(0, 15)])
    with pytest.raises(KeyboardInterrupt):
        run_gradient(tmp_path / "killed", [(0, 15)], GradientScorer(stop_after=evaluations))
    run_gradient(tmp_path / "killed", [(0, 15)])
    assert content(tmp_path / "killed", 15) == content(tmp_path / "whole", 15)
