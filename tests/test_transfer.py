"""Coefficients that are taken over from another search: exactly those, scored once, with the groups they had."""

import json

import numpy as np
import pytest
from tiny import SCORING

from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.search import Scored, SearchSpace, make_search
from lcsc.search.generations import read_chain

SEARCH = {"method": "gradient", "groups": "tensor", "initial_rates": [0.9]}
TRANSFER = {"method": "transfer", "warm_start": {"run": "other", "search": "early"}}


def lcsc(*arguments):
    return main([str(argument) for argument in arguments])


def given(tiny_run, name, *, sigmas=(80.0,), **more):
    measures = ["--bank", tiny_run.folder / "bank", "--extractor", tiny_run.folder / "cnn.safetensors"]
    measures += ["--reference", tiny_run.folder / "train.cnn.h5", "--device", "cpu", "--quiet"]
    sampler = {"kind": "consistency", "sigmas": list(sigmas)}
    settings = {**SCORING, "sampler": sampler, "images": 60, "name": name, **more}
    return [*measures, "--settings", json.dumps(settings)]


def searched(tiny_run, folder):
    """The selection of a short search, and its generations."""
    assert lcsc("search", *given(tiny_run, "early", search=SEARCH), "--count", 3, "--output", folder) == 0
    chain = [folder / f"generation-{number:04d}.json" for number in range(3)]
    finish = given(tiny_run, "early", finalists=2)
    assert lcsc("select", *finish, "--generations", *chain, "--output", folder / "selection.json") == 0
    return folder / "selection.json", read_chain(chain)


def test_the_same_coefficients_have_the_same_score_and_another_one_with_another_sampler(tiny_run, tmp_path):
    selection, chain = searched(tiny_run, tmp_path / "a")
    record = read_json(selection, kind="selection")
    chosen = np.asarray(record["finalists"][record["chosen"]]["coefficients"])
    scores = {}
    for name, sigmas in (("same", [80.0]), ("more", [80.0, 2.0])):
        options = given(tiny_run, name, sigmas=sigmas, search=TRANSFER)
        where = ["--count", 1, "--output", tmp_path / name, "--warm-start", selection]
        assert lcsc("search", *options, *where) == 0
        (generation,) = read_chain([tmp_path / name / "generation-0000.json"])
        (scored,) = generation.scored
        np.testing.assert_array_equal(scored.candidate.coefficients, chosen)
        assert generation.groups == "tensor"
        scores[name] = scored.score
    searched_scores = [scored.score for generation in chain for scored in generation.scored]
    assert any(score == pytest.approx(scores["same"], rel=1e-9) for score in searched_scores)
    assert scores["more"] != pytest.approx(scores["same"], rel=1e-3)


def test_there_is_one_candidate_and_then_the_end():
    row = np.array([[1.5, -0.25, -0.25]])
    search = make_search(TRANSFER, SearchSpace((1, 2, 3), warm=row))
    (candidate,) = search.ask()
    np.testing.assert_array_equal(candidate.coefficients, row)
    assert not search.stopped
    again = make_search(TRANSFER, SearchSpace((1, 2, 3), warm=row))
    search.tell([Scored(candidate, None)])
    again.restore(search.state(), [])
    for ended in (search, again):
        assert ended.stopped
        assert ended.ask() == []


def test_a_search_to_take_over_is_needed():
    with pytest.raises(InputError, match="'transfer': found no warm_start"):
        make_search(TRANSFER, SearchSpace((1, 2, 3)))
