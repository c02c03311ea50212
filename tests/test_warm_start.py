"""Searches that start where another ended, on fresh noise, along principal axes, with patience: by hand, on files."""

import json

import numpy as np
import pytest
from tiny import SCORING

from lcsc.cli import main
from lcsc.errors import InputError
from lcsc.files import read_json, write_json
from lcsc.groups import make_groups
from lcsc.search import Candidate
from lcsc.search.generations import read_chain
from lcsc.search_scoring import SearchScoring
from lcsc.warm_start import warm_rows

FRESH = {
    "method": "gradient", "groups": "tensor/2", "optimiser": "adam", "noise": "fresh", "axes": "principal",
    "learning_rate": 0.02, "betas": [0.8, 0.95], "gradients": 5, "initial_rates": [0.9],
    "stopping": {"every": 2, "patience": 2, "images": 40},
}  # fmt: skip


def lcsc(*arguments):
    return main([str(argument) for argument in arguments])


def record(path, rows, bank, groups="all", **changes):
    written = {
        "search": "early", "groups": groups, "steps": list(bank.steps), "parameters": bank.P, "chosen": 0,
        "finalists": [{"coefficients": np.asarray(rows).tolist()}],
    }  # fmt: skip
    write_json(path, {**written, **changes}, kind="selection")
    return path


def test_coefficients_go_with_their_step_and_new_checkpoints_get_none(tiny_run, tmp_path):
    bank = tiny_run.bank
    rows = np.arange(1.0, bank.K - 1)[None]
    path = record(tmp_path / "s.json", rows, bank, steps=list(bank.steps[:-2]))
    found = warm_rows(path, bank, make_groups(bank.tensors, "tensor"))
    assert found.shape == (make_groups(bank.tensors, "tensor").G, bank.K)
    np.testing.assert_array_equal(found[:, :-2], np.repeat(rows, len(found), axis=0))
    np.testing.assert_array_equal(found[:, -2:], 0)


def test_rows_of_finer_groups_are_averaged_by_their_weights_and_coarser_ones_repeated(tiny_run, tmp_path):
    bank = tiny_run.bank
    tensor, whole = make_groups(bank.tensors, "tensor"), make_groups(bank.tensors, "all")
    rows = np.random.default_rng(0).normal(size=(tensor.G, bank.K))
    path = record(tmp_path / "s.json", rows, bank, "tensor")
    np.testing.assert_allclose(warm_rows(path, bank, tensor), rows)
    shares = np.zeros(tensor.G)
    for start, stop, row in tensor.runs:
        shares[row] += stop - start
    np.testing.assert_allclose(warm_rows(path, bank, whole)[0], shares @ rows / bank.P)


def test_other_networks_and_missing_checkpoints_are_refused(tiny_run, tmp_path):
    bank = tiny_run.bank
    groups = make_groups(bank.tensors, "all")
    path = record(tmp_path / "s.json", np.ones((1, bank.K)), bank, parameters=7)
    with pytest.raises(InputError, match="coefficients for 7 parameters, expected"):
        warm_rows(path, bank, groups)
    path = record(tmp_path / "s.json", np.ones((1, bank.K)), bank, steps=[3, *bank.steps[1:]])
    with pytest.raises(InputError, match="the checkpoint of step 3, which the bank"):
        warm_rows(path, bank, groups)


def given(tiny_run, name, **more):
    measures = ["--bank", tiny_run.folder / "bank", "--extractor", tiny_run.folder / "cnn.safetensors"]
    measures += ["--reference", tiny_run.folder / "train.cnn.h5", "--device", "cpu", "--quiet"]
    settings = {**SCORING, "images": 60, "name": name, **more}
    return [*measures, "--settings", json.dumps(settings)]


def chain(folder, count):
    return [folder / f"generation-{number:04d}.json" for number in range(count)]


def test_fresh_noise_axes_and_patience_give_the_same_bytes_in_any_rounds_and_a_warm_start(tiny_run, tmp_path):
    search = given(tiny_run, "fresh", search=FRESH)
    assert lcsc("search", *search, "--count", 8, "--output", tmp_path / "a") == 0
    for first, count in ((0, 3), (3, 1), (4, 4)):
        where = ["--first", first, "--count", count, "--output", tmp_path / "b"]
        assert lcsc("search", *search, *where, "--cores", 2) == 0
    one, other = chain(tmp_path / "a", 8), chain(tmp_path / "b", 8)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    generations = read_chain(one)
    assert [g.scored[0].candidate.iteration for g in generations if g.scored] == [0, 1, 2, 3, 4, 5]
    assert [g.number for g in generations if g.look] == [0, 2, 4]
    assert generations[6].reason == "evaluations"
    selected = tmp_path / "selection.json"
    finish = given(tiny_run, "fresh", finalists=3)
    assert lcsc("select", *finish, "--generations", *one, "--output", selected) == 0
    chosen = read_json(selected, kind="selection")
    rows = np.asarray(chosen["finalists"][chosen["chosen"]]["coefficients"])

    warm = {"method": "gradient", "groups": "tensor/2", "initial_rates": [0.9], "warm_start": {"run": None, "search": "fresh"}}  # fmt: skip # noqa: E501
    again = given(tiny_run, "warm", search=warm)
    assert lcsc("search", *again, "--count", 2, "--output", tmp_path / "w", "--warm-start", selected) == 0
    first, second = read_chain(chain(tmp_path / "w", 2))
    assert first.scored[0].candidate.origin == "warm start"
    np.testing.assert_allclose(first.scored[0].candidate.coefficients, rows, atol=1e-12)
    best = min(first.scored, key=lambda item: item.order)
    np.testing.assert_allclose(second.scored[0].candidate.coefficients, best.candidate.coefficients, atol=1e-12)


@pytest.mark.parametrize(("search", "given_file"), [({**FRESH, "warm_start": None}, True), ({**FRESH, "warm_start": {"run": None, "search": "x"}}, False)])  # fmt: skip # noqa: E501
def test_a_warm_start_is_given_where_the_settings_name_one_and_only_there(
    tiny_run, tmp_path, capsys, search, given_file
):
    options = ["--warm-start", tmp_path / "none.json"] if given_file else []
    assert lcsc("search", *given(tiny_run, "s", search=search), "--count", 1, "--output", tmp_path, *options) == 2
    expected = "expected none" if given_file else "expected the selection.json of the earlier search"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimiser": "lbfgs"}, "noise: found 'fresh' with lbfgs"),
        ({"bound": 1.0}, "bound: found 1.0 with principal axes"),
        ({"axes": "other"}, "axes 'other' is unknown, expected one of coefficients, principal"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, words):
    from lcsc.search import SearchSpace, make_search

    with pytest.raises(InputError, match=words):
        make_search({**FRESH, **changes}, SearchSpace((1, 2, 3)))


def test_a_candidate_is_scored_on_the_noise_that_it_names(tiny_run):
    context, extractor, reference = tiny_run.context(), tiny_run.extractor("cnn"), tiny_run.reference("cnn")
    groups = make_groups(context.bank.tensors, "all")
    scoring = SearchScoring(context, context.evaluator(extractor, reference, "search", 60), groups)
    rows = np.full((1, context.bank.K), 1 / context.bank.K)
    fixed, fresh = (scoring.value_and_gradient(Candidate(rows, "x", iteration)).value for iteration in (0, 3))
    weights = scoring.weights(Candidate(rows, "x"))
    expected = context.evaluator(extractor, reference, "search", 60, iteration=3).score(weights).value
    assert fresh == pytest.approx(expected, rel=1e-9)
    assert fixed != pytest.approx(expected, rel=1e-3)
