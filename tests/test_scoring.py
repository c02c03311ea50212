"""Scores are the same bytes however the work is spread, and honest about what has no score."""

import dataclasses
import threading
import time

import numpy as np
import pytest
import torch
from tiny import CPU, SCORING

from lcsc.bank.combination import combine
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator, Score, Workers, measure, score_features
from lcsc.metrics.frechet import Reference, feature_statistics, frechet_distance
from lcsc.noise import Noise
from lcsc.protocol import require_protocol
from lcsc.scoring import load_measures, require_match, require_training_part, score_candidates
from lcsc.search import averaging
from lcsc.search.base import Candidate
from lcsc.search.journal import Journal

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def candidates(tiny_run):
    rows = [averaging.ema_shaped(tiny_run.bank.steps, rate) for rate in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)]
    return [Candidate(row, "test") for row in rows]


def evaluator(context, tiny_run, images=200):
    return context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "search", images)


def scores_of(context, tiny_run, candidates, **kwargs):
    return [s.value for s in score_candidates(context, evaluator(context, tiny_run), candidates, **kwargs)]


def test_workers_do_not_change_a_bit(tiny_run, candidates):
    one = scores_of(tiny_run.context(1), tiny_run, candidates)
    assert one == scores_of(tiny_run.context(3), tiny_run, candidates)
    assert len(set(one)) == len(one)


def test_a_score_is_the_distance_of_the_images_of_the_combined_weights(tiny_run, candidates):
    context = tiny_run.context()
    with context.workers.generator() as generator:
        generator.load(combine(tiny_run.bank, candidates[2].coefficients[None])[0])
        noise = context.noise("search", 0, 200)
        (features,) = measure(generator, [tiny_run.extractor("cnn")], noise, 50)
    expected = frechet_distance(features, tiny_run.reference("cnn").reference)
    assert scores_of(context, tiny_run, candidates)[2] == pytest.approx(expected, rel=1e-9)


def test_shards_of_whole_blocks_give_the_same_scores(tiny_run, candidates):
    context = tiny_run.context()
    whole = scores_of(context, tiny_run, candidates)
    parts = scores_of(context, tiny_run, candidates[:3]) + scores_of(context, tiny_run, candidates[3:])
    assert parts == whole


def test_what_the_journal_knows_is_not_scored_again(tiny_run, candidates, tmp_path):
    context = tiny_run.context(2)
    journal = Journal(tmp_path, "p" * 64)
    journal.add(candidates[1], Score(-1.0))
    told = []
    lock = threading.Lock()

    def done(score, known):
        with lock:
            told.append(known)

    found = scores_of(context, tiny_run, candidates, journal=journal, done=done)
    assert found[1] == -1.0
    assert sorted(told) == [False] * 6 + [True]
    whole = scores_of(context, tiny_run, candidates)
    assert found[:1] + found[2:] == whole[:1] + whole[2:]
    assert len(Journal(tmp_path, "p" * 64)) == 7


def test_noise_kept_and_noise_drawn_anew_are_the_same(monkeypatch):
    kept = Noise("report", 0, 1, 700, [(1, 8, 8)] * 2)
    monkeypatch.setattr("lcsc.noise.CACHED_NOISE_BYTES", 0)
    drawn = Noise("report", 0, 1, 700, [(1, 8, 8)] * 2)
    for first, second in zip(kept.chunk(200, 900).arrays, drawn.chunk(200, 900).arrays, strict=True):
        assert first.shape == (500, 1, 8, 8)
        np.testing.assert_array_equal(first, second)


def test_weights_and_features_that_are_not_finite_have_no_score(tiny_run):
    context = tiny_run.context()
    weights = np.full(tiny_run.bank.P, np.nan, np.float32)
    assert evaluator(context, tiny_run).score(weights).reason == "the combined weights are not finite"
    exploded = np.full(tiny_run.bank.P, 1e30, np.float32)
    score = evaluator(context, tiny_run).score(exploded)
    assert score.value is None
    assert "images have features that are not finite" in str(score.reason)
    assert score.order == np.inf
    features = np.ones((5, 3), np.float32)
    features[2, 1] = np.inf
    reference = Reference.of(feature_statistics(np.random.default_rng(0).normal(size=(9, 3))))
    assert score_features(features, reference) == (None, "1 of 5 images have features that are not finite")


def changed_settings():
    """SCORING with one thing changed, each in turn: every key that scoring settings have."""
    evaluation, network = SCORING["evaluation"], SCORING["network"]
    yield "seed", {**SCORING, "evaluation": {**evaluation, "seed": 1}}
    yield "chunk", {**SCORING, "evaluation": {**evaluation, "chunk": 60}}
    yield "block", {**SCORING, "evaluation": {**evaluation, "candidates_per_block": 2}}
    yield "sampler", {**SCORING, "sampler": {"kind": "consistency", "sigmas": [80.0, 1.0]}}
    yield "preconditioning", {**SCORING, "preconditioning": {**SCORING["preconditioning"], "sigma_data": 0.4}}
    yield "network", {**SCORING, "network": {**network, "factory": "lcsc.generators.networks:ResidualMLP "}}
    yield "threads", {**SCORING, "threads": 2}


def test_the_protocol_names_all_that_fixes_a_score(tiny_run, monkeypatch):
    context, extractor, reference = tiny_run.context(), tiny_run.extractor("cnn"), tiny_run.reference("cnn")
    base = context.protocol(extractor, reference, "search", 200)
    found = {
        "purpose": context.protocol(extractor, reference, "selection", 200),
        "images": context.protocol(extractor, reference, "search", 201),
        "iteration": context.protocol(extractor, reference, "search", 200, 1),
        "reference": context.protocol(extractor, tiny_run.reference("cnn", "held-out"), "search", 200),
        "extractor": context.protocol(tiny_run.extractor("mlp"), reference, "search", 200),
    }
    assert {"network", "preconditioning", "sampler", "evaluation", "threads"} == set(SCORING)
    for what, settings in changed_settings():
        other = dataclasses.replace(context, settings=settings)
        found[what] = other.protocol(extractor, reference, "search", 200)
    found["device"] = dataclasses.replace(context, device=torch.device("cuda")).protocol(
        extractor, reference, "search", 200
    )
    hashes = {protocol.hash for protocol in [base, *found.values()]}
    assert len(hashes) == len(found) + 1
    assert base.hash == tiny_run.context(2).protocol(extractor, reference, "search", 200).hash
    assert "200 generated images (1 network evaluation each, search noise of seed 0" in base.words()
    reduced = {**SCORING, "network": {**SCORING["network"], "autocast": "bfloat16"}}
    words = dataclasses.replace(context, settings=reduced).protocol(extractor, reference, "search", 200).words()
    assert "(1 network evaluation each in bfloat16 (autocast), search noise of seed 0" in words
    with pytest.raises(InputError, match=r"found\.json: protocol aaaa, expected bbbb"):
        require_protocol("aaaa", "bbbb", "found.json")


def test_statistics_of_held_out_images_are_for_the_final_evaluation_alone(tiny_run):
    require_training_part(tiny_run.reference("cnn"))
    with pytest.raises(InputError, match="found statistics of the held-out images, expected those of the training"):
        require_training_part(tiny_run.reference("cnn", "held-out"))


def test_a_reference_of_another_extractor_is_refused(tiny_run):
    with pytest.raises(InputError, match=r"made by extractor .* expected 'mlp'"):
        require_match(tiny_run.extractor("mlp"), tiny_run.reference("cnn"))


def test_a_reference_of_another_dimension_is_refused(tiny_run):
    reference = tiny_run.reference("cnn")
    small = Reference.of(feature_statistics(np.random.default_rng(0).normal(size=(9, 3))))
    with pytest.raises(InputError, match="dimension 3, expected 6 as extractor 'cnn' makes"):
        require_match(tiny_run.extractor("cnn"), dataclasses.replace(reference, reference=small))


def test_load_measures_reads_both(tiny_run):
    folder = tiny_run.folder
    extractors, references = load_measures([folder / "cnn.safetensors"], [folder / "train.cnn.h5"], CPU)
    assert extractors[0].identity == references[0].about["extractor_sha256"]


def test_an_error_in_a_worker_ends_the_work():
    def work(item):
        if item == 3:
            raise InputError("no")
        return item

    workers = Workers(lambda: None, 2)
    with pytest.raises(InputError, match="no"):
        workers.map(work, range(10))
    assert workers.map(lambda item: item * 2, range(10)) == [item * 2 for item in range(10)]


def test_evaluators_know_how_many_images_they_make(tiny_run):
    made = evaluator(tiny_run.context(), tiny_run, images=75)
    assert isinstance(made, Evaluator)
    assert made.images == 75


def test_the_seconds_of_a_score_hold_its_share_of_the_combining(tiny_run, monkeypatch):
    def slow(*arguments):
        time.sleep(0.3)
        return combine(*arguments)

    monkeypatch.setattr("lcsc.scoring.combined", slow)
    context = tiny_run.context()
    rows = [Candidate(np.full((1, context.bank.K), 1 / context.bank.K), "x")] * 2
    scores = score_candidates(context, evaluator(context, tiny_run, 10), rows)
    assert 0.3 <= sum(score.seconds for score in scores) < 0.6
