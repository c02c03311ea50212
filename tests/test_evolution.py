"""The evolutionary search, driven by functions whose minimum is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from lcsc.errors import InputError, LcscError
from lcsc.search import Scored, SearchSpace, make_search, project
from lcsc.search.minimise import DEFAULTS, minimise

SPACE = SearchSpace(tuple(range(100, 1100, 100)))
SETTINGS = {"method": "evolution", "seed": 0, **DEFAULTS["evolution"]}
TARGET = project(np.linspace(-0.6, 1.2, 10)[None])


def bowl(coefficients):
    return float(np.square(coefficients - TARGET).sum())


def run(search, generations, score=bowl):
    told = []
    for _ in range(generations):
        scored = [Scored(candidate, score(candidate.coefficients)) for candidate in search.ask()]
        search.tell(scored)
        told.append(scored)
    return told


def test_it_finds_a_minimum_with_negative_coefficients():
    """By the median of five seeds: how near a single one comes differs, and from processor to processor, too."""
    start = min(item.score for item in run(make_search(SETTINGS, SPACE), 1)[0])
    found = sorted((minimise(bowl, SPACE.steps, evaluations=1500, seed=s) for s in range(5)), key=lambda f: f.score)
    assert {one.evaluations for one in found} == {1500}
    assert found[2].score < 0.03 * start
    np.testing.assert_allclose(found[2].coefficients, TARGET, atol=0.15)


def test_every_row_sums_to_one():
    for generation in run(make_search(SETTINGS, SPACE), 5):
        for item in generation:
            assert item.candidate.coefficients.sum() == pytest.approx(1, abs=1e-12)


def test_it_starts_from_the_averages():
    origins = [candidate.origin for candidate in make_search(SETTINGS, SPACE).ask()]
    assert origins[:2] == ["last", "uniform"]
    assert "ema-shaped 0.97" in origins


def test_no_candidate_is_asked_for_twice():
    fingerprints = [item.candidate.fingerprint for g in run(make_search(SETTINGS, SPACE), 20) for item in g]
    assert len(set(fingerprints)) == len(fingerprints) == 600


def test_where_nothing_new_can_be_made_it_says_so():
    stuck = {**SETTINGS, "mutation_share": [0.0, 0.0], "crossover": 0.0}
    with pytest.raises(LcscError, match="raise mutation_scale or mutation_share"):
        make_search(stuck, SPACE).ask()


def test_a_restored_search_goes_on_with_the_same_candidates():
    search = make_search(SETTINGS, SPACE)
    history = run(search, 4)
    state = json.loads(json.dumps(search.state()))
    restored = make_search(SETTINGS, SPACE)
    restored.restore(state, history)
    for ours, theirs in zip(run(search, 3), run(restored, 3), strict=True):
        assert [i.candidate.fingerprint for i in ours] == [i.candidate.fingerprint for i in theirs]


def test_candidates_without_a_score_never_become_parents():
    def half(coefficients):
        return None if coefficients[0, 0] > 0.05 else bowl(coefficients)

    last = run(make_search(SETTINGS, SPACE), 12, half)[-1]
    assert min(item.order for item in last) < np.inf
    assert minimise(lambda c: half(c) or float("nan"), SPACE.steps, evaluations=90).coefficients[0, 0] <= 0.05


def test_seeds_differ_and_repeat():
    first, second = (minimise(bowl, SPACE.steps, evaluations=60, seed=seed).score for seed in (1, 2))
    assert first != second
    assert first == minimise(bowl, SPACE.steps, evaluations=60, seed=1).score


def test_rows_for_groups_each_sum_to_one():
    found = minimise(lambda c: float(np.square(c).sum()), SPACE.steps, evaluations=60, groups=3)
    assert found.coefficients.shape == (3, 10)
    np.testing.assert_allclose(found.coefficients.sum(1), 1, atol=1e-12)


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match=r"method 'magic' is unknown, expected one of .*evolution"):
        make_search({"method": "magic"}, SPACE)


def test_one_call_and_the_main_job_have_the_same_settings():
    config = yaml.safe_load((Path(__file__).parent.parent / "config" / "config.yaml").read_text())
    entry = config["defaults"]["searches"]["evolution"]
    assert {key: entry[key] for key in DEFAULTS["evolution"]} == DEFAULTS["evolution"]
    assert set(entry) - set(DEFAULTS["evolution"]) == {
        "method", "seed", "generations", "generations_per_round", "finalists"
    }  # fmt: skip


def test_one_call_refuses_a_method_that_needs_gradients():
    with pytest.raises(InputError, match="method 'gradient' needs gradients, expected one that takes scores"):
        minimise(bowl, SPACE.steps, evaluations=60, method="gradient")
