"""Every value search on a real problem, by the command line: the same bytes in one round and in two, and selected."""

import json

import pytest
from tiny import SCORING

from lcsc.cli import main
from lcsc.config import read_schema
from lcsc.files import read_json
from lcsc.report.reading import read_generations
from lcsc.search import cmaes, random, soup

SEARCHES = {
    "evolution": {
        "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
        "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
        "racing": {"images": 20, "keep": 0.5},
    },
    "cma-es": {"method": "cma-es", "seed": 0, "sigma": 0.05, "initial_rates": [0.9]},
    "random": {"method": "random", "seed": 0, "population": 5, "initial_rates": [0.9], "evaluations": 10},
    "greedy-soup": {"method": "greedy-soup", "variant": "best-addition"},
}  # fmt: skip
# Scores on all images in three generations of the tiny run's eight checkpoints, and the images of the heats.
EXPECTED = {"evolution": (9, 18 * 20), "cma-es": (3 + 2 * 9, 0), "random": (3 + 5, 0)}


def lcsc(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_by_hand_is_the_same_in_two_rounds_and_is_selected(tiny_run, tmp_path, method):
    measures = ["--bank", tiny_run.folder / "bank", "--extractor", tiny_run.folder / "cnn.safetensors"]
    measures += ["--reference", tiny_run.folder / "train.cnn.h5"]
    settings = {**SCORING, "images": 60, "name": method}

    def given(**values):
        return [*measures, "--settings", json.dumps({**settings, **values}), "--device", "cpu", "--quiet"]

    search = given(search=SEARCHES[method])
    timing = tmp_path / "timing.json"
    assert lcsc("search", *search, "--count", 3, "--output", tmp_path / "a", "--timing", timing) == 0
    assert lcsc("search", *search, "--count", 2, "--output", tmp_path / "b", "--cores", 2) == 0
    assert lcsc("search", *search, "--first", 2, "--count", 1, "--output", tmp_path / "b") == 0
    paths, others = ([tmp_path / side / f"generation-000{n}.json" for n in range(3)] for side in "ab")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in others]
    assert lcsc("select", *given(finalists=2), "--generations", *paths, "--output", tmp_path / "selection.json") == 0
    record, cost = read_json(tmp_path / "selection.json", kind="selection"), read_json(timing, kind="timing")
    assert record["method"] == method
    assert record["evaluations"] == cost["evaluations"]
    shown = read_generations(paths, len(tiny_run.bank.steps))[method]
    assert sum(len(generation.candidates) for generation in shown) == cost["evaluations"]
    if method in EXPECTED:
        evaluations, heats = EXPECTED[method]
        assert (cost["evaluations"], cost["images"]) == (evaluations, evaluations * 60 + heats)


@pytest.mark.parametrize(("module", "section"), [(cmaes, "cma_es"), (random, "random"), (soup, "greedy_soup")])
def test_one_call_and_the_configuration_have_the_same_defaults(module, section):
    known = read_schema()["$defs"][section]["properties"]
    shared = {key: known[key]["default"] for key in module.DEFAULTS if key in known}
    assert shared == {key: value for key, value in module.DEFAULTS.items() if key != "start"}
