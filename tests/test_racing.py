"""Racing: who goes on, what it costs, and that neither kills nor rounds change a byte."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import FormulaScorer, about, content
from small_workflow import small_config

from lcsc.bank.combination import combine
from lcsc.config import resolve
from lcsc.errors import InputError, LcscError
from lcsc.evaluation import Score
from lcsc.groups import make_groups
from lcsc.raced_scoring import RacedScoring
from lcsc.runtime import deterministic
from lcsc.search import Candidate, Scored, SearchSpace, make_search
from lcsc.search.budget import Budget
from lcsc.search.driver import open_journal, run_generations
from lcsc.search.generations import chain_paths, generation_path, read_chain
from lcsc.search.journal import Journal
from lcsc.search.minimise import DEFAULTS
from lcsc.search.racing import Race
from lcsc.search_scoring import SearchScoring
from lcsc.selection import finalists

SPACE = SearchSpace((10, 20, 30, 40))
RACING = {"images": 10, "keep": 0.5}
EVOLUTION = {
    "method": "evolution", "seed": 0, **DEFAULTS["evolution"], "population": 6, "parents": 3, "racing": RACING,
}  # fmt: skip


def bowl(coefficients):
    return float(np.square(coefficients - [[2, -1, 0.5, -0.5]]).sum())


def rough(coefficients):
    """Nearly the bowl, and nothing for some."""
    return None if coefficients[0, 0] > 0.24 else bowl(coefficients) + coefficients[0, 2]


def run(folder, settings, rounds, stop_after=None, heat=rough):
    race = Race.of(settings, 40)
    for first, count in rounds:
        full, heats = FormulaScorer(bowl, stop_after), FormulaScorer(heat, stop_after)
        scoring = RacedScoring(full, heats, race, Journal(folder / "journal", "h" * 64))
        search = make_search(settings, SPACE)
        extent = {"first": first, "count": count, "about": about(settings)}
        found = run_generations(search, scoring, folder, **extent, budget=Budget.of(settings, race=race))
    return found, full, heats


@given(st.lists(st.none() | st.floats(0, 9), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_the_winners_are_the_best(values, keep):
    race = Race(10, keep, 40)
    places = race.winners(values)
    losers = [values[place] for place in range(len(values)) if place not in places and values[place] is not None]
    finite = [value for value in values if value is not None]
    assert places == sorted(set(places))
    assert len(places) == min(len(finite), race.kept(len(values)))
    assert all(values[place] <= loser for place in places for loser in losers)


@pytest.mark.parametrize(("keep", "count", "kept"), [(0.33, 30, 10), (0.1, 30, 3), (0.5, 5, 3), (0.01, 7, 1)])
def test_the_share_is_rounded_up(keep, count, kept):
    assert Race(10, keep, 40).kept(count) == kept


def test_only_the_best_of_each_generation_get_a_score(tmp_path):
    tally, full, heats = run(tmp_path, EVOLUTION, [(0, 5)])
    assert (heats.calculated, full.calculated) == (30, 15)
    chain = read_chain(chain_paths(tmp_path, 5))
    for generation in chain:
        won = [rough(item.candidate.coefficients) for item in generation.scored if item.score is not None]
        lost = [item for item in generation.scored if item.raced is not None]
        assert len(won) == 3
        assert all(item.raced == rough(item.candidate.coefficients) >= max(won) for item in lost)
    records = json.loads(generation_path(tmp_path, 0).read_text())["candidates"]
    assert [("raced" in row, row["score"] is None, row["reason"]) for row in records] == [
        (True, True, None), (False, True, "not finite"), *[(True, True, None)] * 1, *[(False, False, None)] * 3
    ]  # fmt: skip
    failed = [item for generation in chain for item in generation.scored if item.score is None and item.raced is None]
    assert len(failed) == len(tally.failed) > 0
    assert (tally.evaluations, tally.raced) == (30 - tally.raced, 15 - len(failed))
    assert all(row["item"].score is not None for row in finalists(chain, 30))


@pytest.mark.parametrize("method", ["evolution", "cma-es", "random"])
def test_rounds_and_kills_do_not_change_the_bytes(tmp_path, method):
    settings = {**EVOLUTION, "method": method, "sigma": 0.2, "initial_rates": [0.9]}
    run(tmp_path / "whole", settings, [(0, 5)])
    run(tmp_path / "cut", settings, [(n, 1) for n in range(5)])
    assert content(tmp_path / "cut", 5) == content(tmp_path / "whole", 5)
    for kill in (1, 8, 13):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / str(kill), settings, [(0, 5)], stop_after=kill)
        run(tmp_path / str(kill), settings, [(0, 5)])
        assert content(tmp_path / str(kill), 5) == content(tmp_path / "whole", 5)


@pytest.mark.parametrize("rounds", [[(0, 9)], [(n, 1) for n in range(9)]])
def test_a_budget_counts_images(tmp_path, rounds):
    """A generation costs 6 quarters and 3 wholes: 20 evaluations are enough for 4, and 18 are too."""
    for limit, begun in ((20, 4), (18, 4), (17, 3)):
        settings = {**EVOLUTION, "evaluations": limit}
        run(tmp_path / str(limit), settings, rounds, heat=bowl)
        chain = read_chain(chain_paths(tmp_path / str(limit), 9))
        assert [bool(generation.scored) for generation in chain] == [True] * begun + [False] * (9 - begun)
    assert Race.of(EVOLUTION, 40).cost(6) == Fraction(9, 2)


def test_cma_es_ranks_those_raced_out_between_scores_and_failures():
    """All that CMA-ES takes from a generation is its order: full scores in the same order lead to the same state."""
    settings = {"method": "cma-es", "seed": 0, "sigma": 0.2, "start": "last"}

    def told(outcomes):
        search = make_search(settings, SPACE)
        asked = search.ask()
        search.tell([Scored(c, score, None, raced) for c, (score, raced) in zip(asked, outcomes, strict=True)])
        return [candidate.fingerprint for candidate in search.ask()]

    outcomes = [(None, None), (3.0, None), (None, 7.0), (2.0, None), (None, 5.0), (None, 6.0), (1.0, None)]
    ranked = [(value, None) for value in (7.0, 3.0, 6.0, 2.0, 4.0, 5.0, 1.0)]
    assert told(outcomes) == told(ranked)
    assert told(outcomes) != told([ranked[2], *ranked[1:2], ranked[0], *ranked[3:]])


def test_a_first_generation_whose_heats_all_fail_is_an_error(tmp_path):
    with pytest.raises(LcscError, match=r"generation 0: no candidate could be scored \(not finite\)"):
        run(tmp_path, EVOLUTION, [(0, 1)], heat=lambda coefficients: None)


def test_scores_without_a_race_are_not_shared_with_those_of_one(tmp_path):
    raced, plain = (
        open_journal(tmp_path, about(EVOLUTION)),
        open_journal(tmp_path, about({**EVOLUTION, "racing": None})),
    )
    assert raced.path != plain.path
    assert plain.path == open_journal(tmp_path, about({**EVOLUTION, "racing": None, "evaluations": 9000})).path


def test_heats_are_scores_on_the_first_images(tiny_run, tmp_path):
    context = tiny_run.context()
    groups = make_groups(context.bank.tensors, "all")
    extractor, reference = tiny_run.extractor("cnn"), tiny_run.reference("cnn")
    scoring = SearchScoring(context, context.evaluator(extractor, reference, "search", 150), groups)
    raced = RacedScoring.of(scoring, Race(50, 0.4, 150), about(EVOLUTION), tmp_path / "journal")
    rows = np.eye(context.bank.K)[:, None]
    candidates = [Candidate(row, "single") for row in rows]
    with deterministic(1):
        found = raced(candidates, Journal(tmp_path / "journal", "k" * 64), False, lambda score, known: None)
        few = context.evaluator(extractor, reference, "search", 50)
        expected = [few.score(weights) for weights in combine(context.bank, rows, groups)]
    lost = [place for place, score in enumerate(found) if score.raced is not None]
    won = [place for place, score in enumerate(found) if score.value is not None]
    assert len(won) == Race(50, 0.4, 150).kept(len(rows))
    np.testing.assert_allclose([found[k].raced for k in lost], [expected[k].value for k in lost], rtol=1e-4)
    assert max(expected[k].value for k in won) <= min(expected[k].value for k in lost)


def test_impossible_races_are_refused():
    with pytest.raises(InputError, match=r"racing\.images 40, expected 2 or more and fewer than 40"):
        Race.of({"racing": {"images": 40, "keep": 0.5}}, 40)
    with pytest.raises(InputError, match=r"racing\.keep 1\.0, expected a share between 0 and 1"):
        Race.of({"racing": {"images": 4, "keep": 1.0}}, 40)
    assert Race.of({"racing": None}, 40) is None
    assert Score(None, raced=2.0).order == np.inf


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"racing": {"images": 64}}, r"racing\.images: found 64, expected fewer images than a score's \(64\)"),
        ({"racing": {"images": 16}, "seconds": 9}, "seconds: found 9.*, expected null with racing"),
        ({"racing": {"keep": 1}}, r"racing\.keep: found 1, expected a number between 0 and 1, both excluded"),
    ],
)
def test_races_that_cannot_be_are_refused(changed, message):
    config = small_config()
    config["defaults"]["searches"]["evolution"] |= changed
    with pytest.raises(InputError, match=message):
        resolve(config, "given.yaml")
