"""A candidate whose images are not finite is the worst, is reported with its reason, and wins nowhere."""

import dataclasses

import numpy as np
import pytest
import torch

from lcsc import baselines, final
from lcsc import columns as columns_of
from lcsc.errors import LcscError
from lcsc.evaluation import Workers, features_of, without_infinities
from lcsc.gradients import GradientEvaluator
from lcsc.groups import make_groups
from lcsc.runtime import deterministic
from lcsc.scoring import score_candidates
from lcsc.search import Candidate, Scored, SearchSpace, averaging
from lcsc.search.driver import run_generations
from lcsc.search.generations import Generation, chain_paths, read_chain
from lcsc.search.gradient import Gradient
from lcsc.search.patience import Look, Patience
from lcsc.search.racing import Race
from lcsc.search_scoring import SearchScoring
from lcsc.selection import finalists, select

REASON = "1 of 100 images have features that are not finite"


@pytest.fixture(autouse=True)
def one_thread():
    with deterministic(1):
        yield


class Failing:
    """A generator whose images of ``marked`` noise have one bad pixel where the weights' first number is above a bound.

    Known by their noise, they are the same images however the work is cut.
    """

    def __init__(self, inner, bad, marked):
        self.inner, self.bad, self.marked, self.above = inner, bad, marked, np.inf
        self.device, self.nfe, self.classes = inner.device, inner.nfe, inner.classes
        self.noise_shapes = inner.noise_shapes
        self._fails = False

    def load(self, weights):
        self._fails = bool(weights[0] > self.above)
        self.inner.load(weights)

    def __call__(self, noise, labels=None):
        images = self.inner(noise, labels).clone()
        if self._fails:
            hit = [any(torch.equal(one, mark) for mark in self.marked) for one in noise[0]]
            images[torch.tensor(hit), 0, 0, 0] = self.bad
        return images

    def leaves(self):
        return self.inner.leaves()

    def differentiable(self, leaves, noise, labels=None):
        return self.inner.differentiable(leaves, noise, labels)


class Blind(torch.nn.Module):
    """Features that hide what is not finite."""

    def forward(self, images):
        return torch.nan_to_num(images).flatten(1)[:, :6]


@pytest.fixture(params=[np.nan, np.inf, -np.inf], ids=["nan", "inf", "-inf"])
def failing(request, tiny_run):
    """A context whose generator fails for weights with a first number above ``made.above``, and that generator."""
    context = tiny_run.context()
    with context.workers.generator() as inner:
        noises = [("search", 0), ("selection", 0), ("stopping", 0), ("report", 1)]
        marked = [context.noise(*noise, 100).chunk(7, 8).arrays[0][0] for noise in noises]
        made = Failing(inner, request.param, marked)
    context = dataclasses.replace(context, workers=Workers(lambda: made, 1))
    return context, made


def evaluator(context, tiny_run, purpose="search", images=100):
    return context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), purpose, images)


def test_infinities_are_not_rounded_to_white():
    images = torch.tensor([[[[np.inf, 1.0]]], [[[0.5, -1.0]]]])
    found = without_infinities(images)
    assert torch.isnan(found[0, 0, 0, 0])
    assert torch.equal(found[1], images[1])
    assert without_infinities(images[1:]) is not None
    features = features_of(Blind(), torch.cat([found, found, found], dim=3))
    assert torch.isnan(features[0]).all()
    assert torch.isfinite(features[1]).all()


def test_finite_values_whose_sum_is_not_stay():
    images = torch.full((2, 1, 2, 2), 3e38)
    assert torch.equal(without_infinities(images), images)
    assert torch.isfinite(features_of(Blind(), images.expand(2, 3, 2, 2))).all()


def test_one_bad_pixel_is_no_score_by_value_or_with_gradient(tiny_run, failing):
    context, made = failing
    weights = tiny_run.bank.checkpoint(0)
    good = evaluator(context, tiny_run).score(weights)
    assert good.value is not None
    made.above = -np.inf
    score = evaluator(context, tiny_run).score(weights)
    assert (score.value, score.reason, score.order) == (None, REASON, np.inf)
    found = GradientEvaluator.of(evaluator(context, tiny_run)).value_and_gradient(weights)
    assert (found.score.value, found.score.reason, found.gradient) == (None, REASON, None)


def test_it_is_chosen_neither_as_finalist_nor_as_baseline(tiny_run, failing):
    context, made = failing
    bank = tiny_run.bank
    first = [float(bank.checkpoint(k)[0]) for k in range(bank.K)]
    made.above = sorted(first)[-2]
    bad = int(np.argmax(first))
    candidates = [Candidate(averaging.single(bank.K, k), f"single {k}") for k in range(bank.K)]
    scores = score_candidates(context, evaluator(context, tiny_run), candidates)
    assert [score.reason for score in scores] == [REASON if k == bad else None for k in range(bank.K)]
    told = tuple(Scored(c, s.value) for c, s in zip(candidates, scores, strict=True))
    reasons = tuple(score.reason for score in scores)
    generation = Generation(0, "p", "b", {}, told, reasons, {}, None)
    rows = finalists([generation], bank.K)
    assert bad not in [row["candidate"] for row in rows]
    rows += [{"candidate": bad, "generation": 0, "search_score": 0.0, "item": told[bad]}]
    found = select(context, evaluator(context, tiny_run, "selection"), rows)
    assert found["finalists"][-1]["selection_score"] is None
    assert found["finalists"][-1]["reason"] == REASON
    assert found["chosen"] != len(rows) - 1
    entries = baselines.combinations(bank.steps, [0.9])
    scored = baselines.score_baselines(context, evaluator(context, tiny_run, "selection"), entries)
    entries = [{**e, "score": s.value} for e, s in zip(entries, scored, strict=True)]
    assert baselines.choose(entries)["single"] != f"single {bank.steps[bad]}"


def test_a_race_has_no_such_winner():
    race = Race(images=10, keep=0.5, full=100)
    assert race.winners([None, 3.0, None, 2.0]) == [1, 3]
    assert race.winners([None, 3.0, None, None]) == [1]
    assert race.winners([None] * 4) == []


def final_evaluation(context, tiny_run):
    names = ("cnn", "mlp")
    references = [tiny_run.reference(name, part) for name in names for part in ("train", "held-out")]
    columns = columns_of.make_columns([tiny_run.extractor(name) for name in names], references)
    real = columns_of.read_real_images(tiny_run.folder / "train.npz", tiny_run.folder / "held-out.npz", columns)
    return final.FinalEvaluation(context, columns, real, 100, 3)


def test_on_report_noise_it_has_no_row_but_a_reason_even_where_one_block_alone_fails(tiny_run, failing):
    context, made = failing
    bank = tiny_run.bank
    first = [float(bank.checkpoint(k)[0]) for k in range(bank.K)]
    order = np.argsort(first)
    made.above = first[order[-2]]
    entries = {entry["family"]: entry for entry in baselines.combinations(bank.steps, [0.9])}
    good, bad = (final.weights.of_coefficients(averaging.single(bank.K, int(order[place]))) for place in (-2, -1))
    last = {**entries["last"], "weights": good}
    single = {**entries["single"], "weights": bad}
    evaluation = final_evaluation(context, tiny_run)
    rows = evaluation.run([last, single], "test", guards=True)
    assert [row["name"] for row in rows] == ["last"]
    (failed,) = evaluation.failed
    assert (failed["name"], failed["failed"]) == (single["name"], f"cnn/held-out, report block 1: {REASON}")
    hindsight = evaluation.run([{**last, "family": "ema"}, {**single, "family": "ema"}], "test", guards=False)
    assert final.best_in_hindsight(hindsight, evaluation.columns)["cnn/held-out"]["name"] == "last"
    searched = {**single, "name": "evolution", "family": "search", "label": "LCSC (evolution)"}
    expected = r"LCSC \(evolution\), cnn/held-out, report block 1: 1 of 100 .*: leave the search out of 'searches'"
    with pytest.raises(LcscError, match=expected):
        evaluation.run([last, searched], "test", guards=True)


def test_on_stopping_noise_it_is_no_gain(tiny_run, failing):
    context, made = failing
    stopping = evaluator(context, tiny_run, "stopping")
    good = stopping.score(tiny_run.bank.checkpoint(0))
    made.above = -np.inf
    bad = stopping.score(tiny_run.bank.checkpoint(0))
    assert (good.reason, bad.value, bad.reason) == (None, None, REASON)
    patience = Patience(every=1, patience=2)
    for score, reason in ((good, None), (bad, None), (bad, "patience")):
        patience.take(Look(0, 0, score.value))
        assert patience.reason == reason


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_a_gradient_search_goes_back_from_such_trials_and_on(tiny_run, failing, tmp_path, optimiser):
    """Two trials fail: they are kept with their reason, those after them are good, the best better than the start."""
    context, made = failing
    settings = {"method": "gradient", "optimiser": optimiser, "gradients": 9, "initial_rates": [0.9]}
    space = SearchSpace(tuple(tiny_run.bank.steps))
    scoring = SearchScoring(context, evaluator(context, tiny_run), make_groups(tiny_run.bank.tensors, "all"))
    about = {"search": "s", "method": "gradient", "settings": settings, "protocol": "p", "bank": "b"}

    failed = {f"{optimiser} 1", f"{optimiser} 4"}

    def fail_some(candidates, *others):
        made.above = -np.inf if candidates[0].origin in failed else np.inf
        return scoring(candidates, *others)

    tally = run_generations(Gradient(space, settings), fail_some, tmp_path, first=0, count=6, about=about)
    assert tally.failed == [REASON] * 2
    later = run_generations(Gradient(space, settings), fail_some, tmp_path, first=6, count=4, about=about)
    assert later.failed == []
    rows = [generation for generation in read_chain(chain_paths(tmp_path, 10), about) if generation.scored][1:]
    assert {row.scored[0].candidate.origin for row in rows if row.reasons == (REASON,)} == failed
    start, *others = [row.scored[0].order for row in rows]
    assert min(others) < start
    assert finalists(rows, 1)[0]["search_score"] == min(others)
