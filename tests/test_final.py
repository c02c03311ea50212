"""Baselines, selection and the final evaluation on a tiny run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CPU

from lcsc import baselines, final, final_rows, seeds, weights
from lcsc import columns as columns_of
from lcsc.data import load_part, to_bytes, to_float
from lcsc.errors import InputError, LcscError
from lcsc.evaluation import generate
from lcsc.metrics import neighbours
from lcsc.metrics.frechet import frechet_distance
from lcsc.metrics.neighbours import nearest_distances
from lcsc.reference import real_features
from lcsc.search import Candidate, Scored, averaging
from lcsc.search.generations import Generation
from lcsc.selection import finalists, select

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ("cnn", "mlp")


@pytest.fixture(scope="module")
def scored(tiny_run):
    """The baselines of the tiny run, scored."""
    context = tiny_run.context(2)
    evaluator = context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "selection", 200)
    entries = baselines.combinations(tiny_run.bank.steps, [0.8, 0.95])
    entries += baselines.files(tiny_run.folder / "constant" / "ema", tiny_run.folder / "decayed")
    scores = baselines.score_baselines(context, evaluator, entries)
    return [
        {**entry, "score": score.value, "reason": score.reason} for entry, score in zip(entries, scores, strict=True)
    ]


def by_name(entries):
    return {entry["name"]: entry for entry in entries}


def evaluation(tiny_run, workers=1):
    references = [tiny_run.reference(name, part) for name in NAMES for part in ("train", "held-out")]
    columns = columns_of.make_columns([tiny_run.extractor(name) for name in NAMES], references)
    real = columns_of.read_real_images(tiny_run.folder / "train.npz", tiny_run.folder / "held-out.npz", columns)
    return final.FinalEvaluation(tiny_run.context(workers), columns, real, 120, 3)


def test_every_family_is_there_and_the_best_is_chosen(scored):
    families = {entry["family"] for entry in scored}
    assert families == {"last", "single", "uniform", "ema", "ema-shaped", "decayed"}
    assert len(by_name(scored)) == len(scored)
    chosen = baselines.choose(scored)
    assert set(chosen) == families - {"ema-shaped"}
    emas = [entry for entry in scored if entry["family"] in ("ema", "ema-shaped")]
    assert by_name(scored)[chosen["ema"]]["score"] == min(entry["score"] for entry in emas)


def test_the_last_single_checkpoint_is_the_last(scored, tiny_run):
    entries = by_name(scored)
    assert entries["last"]["score"] == entries[f"single {tiny_run.bank.steps[-1]}"]["score"]


def test_families_without_a_score_are_not_chosen():
    entries = baselines.combinations([10, 20], [0.5])
    for entry in entries:
        entry["score"] = None if entry["family"] == "uniform" else 1.0
    assert "uniform" not in baselines.choose(entries)


def test_weights_of_a_changed_file_are_refused(scored, tiny_run, tmp_path):
    record = dict(by_name(scored)["ema 0.9"]["weights"])
    assert weights.load(record, tiny_run.bank).shape == (tiny_run.bank.P,)
    copy = tmp_path / "ema.safetensors"
    copy.write_bytes(Path(record["path"]).read_bytes()[:-4] + b"0000")
    with pytest.raises(InputError, match=r"ema\.safetensors: sha256 .* expected .* changed since the baselines"):
        weights.load(record | {"path": str(copy)}, tiny_run.bank)
    with pytest.raises(InputError, match=r"none: not found"):
        weights.load(record | {"path": str(tmp_path / "none")}, tiny_run.bank)


def test_finalists_are_the_best_of_all_generations(tiny_run):
    rng = np.random.default_rng(0)
    steps = tiny_run.bank.steps
    generations = []
    for number in range(4):
        scores = [None, *rng.permutation(40)[:4].astype(float)]
        rows = [averaging.ema_shaped(steps, rate) for rate in rng.uniform(0.5, 0.99, 5)]
        scored = tuple(Scored(Candidate(row, "x"), score) for row, score in zip(rows, scores, strict=True))
        generations.append(Generation(number, "p", "b", {}, scored, (None,) * 5, {}, None))
    rows = finalists(generations, 6)
    scores = sorted(item.score for g in generations for item in g.scored if item.score is not None)
    assert [row["search_score"] for row in rows][:6] == scores[:6]
    for generation in (1, 2, 3):
        best = min(item.order for g in generations[:generation] for item in g.scored)
        assert best in [row["search_score"] for row in rows]
    places = [(row["generation"], row["candidate"]) for row in rows]
    assert len(set(places)) == len(places)
    context = tiny_run.context()
    evaluator = context.evaluator(tiny_run.extractor("cnn"), tiny_run.reference("cnn"), "selection", 100)
    record = select(context, evaluator, rows)
    selected = [row["selection_score"] for row in record["finalists"]]
    assert selected[record["chosen"]] == min(selected)
    json.dumps(record)


def test_the_final_evaluation_is_right_and_does_not_depend_on_workers(scored, tiny_run):
    made = evaluation(tiny_run)
    rows = final_rows.methods({"entries": scored, "chosen": baselines.choose(scored)}, [])
    measured = made.run(rows, "test", guards=True)
    assert [row["name"] for row in measured] == ["last", "single", "uniform", "ema", "decayed"]
    assert list(measured[0]["columns"]) == ["cnn/held-out", "mlp/held-out", "cnn/train", "mlp/train"]
    for row in measured:
        for column in row["columns"].values():
            assert len(set(column["values"])) == 3
            assert column["mean"] == pytest.approx(np.mean(column["values"]))
            assert column["spread"] == pytest.approx(np.std(column["values"], ddof=1))
            assert column["half"]["images"] * 2 == made.images
            lines = zip(column["values"], column["half"]["values"], column["limit"]["values"], strict=True)
            assert all(limit == pytest.approx(2 * whole - half) for whole, half, limit in lines)
        assert {name: list(guard["jackknife"]) for name, guard in row["guards"].items()} == {
            name: ["held-out", "train"] for name in NAMES
        }
        assert row["copies"]["ratio"] == row["neighbours"]["train"]["mean"] / made.guards.real_distance
    assert measured == evaluation(tiny_run, 3).run(rows, "test", guards=True)


def test_a_baseline_without_a_distance_has_no_row_but_a_reason(scored, tiny_run, monkeypatch):
    rows = final_rows.methods({"entries": scored, "chosen": baselines.choose(scored)}, [])

    def load_broken(*broken):
        spoilt = [row["weights"] for row in rows if row["name"] in broken]
        load = weights.load
        monkeypatch.setattr(final.weights, "load", lambda r, b: load(r, b) * (np.nan if r in spoilt else 1))

    load_broken("uniform")
    made = evaluation(tiny_run)
    measured = made.run(rows, "test", guards=True)
    assert [row["name"] for row in measured] == ["last", "single", "ema", "decayed"]
    words = final.record(made, measured, [measured[2]], "tiny")["protocol_words"]
    (label,) = (row["label"] for row in rows if row["name"] == "uniform")
    assert [line for line in words if line.startswith(f"{label} has no row: cnn/held-out, report block 0: 120 of 120")]
    load_broken("last")
    with pytest.raises(LcscError, match=r"120 of 120 images .* check the generator's settings"):
        evaluation(tiny_run).run(rows, "test", guards=True)


def test_the_floor_is_the_distance_between_real_images(tiny_run):
    record = columns_of.describe_columns(evaluation(tiny_run).columns)
    held_out = load_part(tiny_run.folder / "held-out.npz").images
    features = real_features(tiny_run.extractor("mlp"), held_out, CPU)
    expected = frechet_distance(features, tiny_run.reference("mlp", "train").reference)
    found = next(column for column in record if column["key"] == "mlp/held-out")
    assert found["floor"] == pytest.approx(expected, rel=1e-6)
    assert [column["searched"] for column in record] == [True, False, True, False]


def test_hindsight_is_the_best_of_all_emas_in_each_column(scored, tiny_run):
    made = evaluation(tiny_run)
    rows = made.run(final_rows.hindsight_methods({"entries": scored}), "test", guards=False)
    best = final.best_in_hindsight(rows, made.columns)
    assert not any("guards" in row for row in rows)
    assert not any("limit" in column for row in rows for column in row["columns"].values())
    for key, found in best.items():
        assert found["mean"] == min(row["columns"][key]["mean"] for row in rows)


def test_samples_are_on_the_same_noise(scored, tiny_run):
    last = by_name(scored)["last"]
    single = by_name(scored)[f"single {tiny_run.bank.steps[-1]}"]
    grids = evaluation(tiny_run).samples([last, single, by_name(scored)["uniform"]])
    assert grids.shape == (4, 50, 1, 8, 8)
    assert grids.dtype == np.uint8
    np.testing.assert_array_equal(grids[0], grids[1])
    assert (grids[0] != grids[2]).any()
    real = load_part(tiny_run.folder / "held-out.npz").images
    order = seeds.generator("guards", 0, 3).permutation(len(real))
    np.testing.assert_array_equal(grids[3], real[order[:50]])


def test_the_best_fine_tuning_is_shown_beside_the_searches():
    families = {"last": "last", "uniform": "uniform", "ema": "ema", "tuned": "tuned", "tuned-span": "tuned-span"}
    rows = [{"name": name, "family": family} for name, family in {**families, "evolution": "search"}.items()]
    entries = [{"name": f"{name} a", "score": score} for name, score in (("tuned", 3.0), ("tuned-span", 2.0))]
    chosen = {"tuned": "tuned a", "tuned-span": "tuned-span a"}
    shown = final_rows.shown_rows(rows, {"entries": entries, "chosen": chosen})
    assert [row["name"] for row in shown] == ["last", "ema", "tuned-span", "evolution"]
    shown = final_rows.shown_rows([rows[0], rows[2], rows[5]], {"entries": [], "chosen": {}})
    assert [row["name"] for row in shown] == ["last", "ema", "evolution"]


def test_a_missing_reference_is_refused(tiny_run):
    references = [tiny_run.reference("cnn", part) for part in ("train", "held-out")]
    with pytest.raises(InputError, match="found 0 of the held-out images by extractor 'mlp', expected 1"):
        columns_of.make_columns([tiny_run.extractor(name) for name in NAMES], references)


def test_nearest_distances_of_bytes_in_blocks_are_those_of_all_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    images, real = (rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8) for count in (30, 50))
    whole = nearest_distances(to_float(images), to_float(real))
    np.testing.assert_array_equal(nearest_distances(images, real), whole)
    monkeypatch.setattr(neighbours, "ROWS", 7)
    monkeypatch.setattr(neighbours, "COLUMNS", 11)
    np.testing.assert_allclose(nearest_distances(images, real), whole, rtol=1e-10)


def test_nearest_distances_equal_the_plain_ones():
    rng = np.random.default_rng(0)
    images, real = rng.normal(size=(30, 1, 4, 4)), rng.normal(size=(20, 1, 4, 4))
    plain = np.linalg.norm(images.reshape(30, 1, -1) - real.reshape(1, 20, -1), axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_distances(images, real), plain, rtol=1e-10)
    np.testing.assert_allclose(nearest_distances(real, real), 0, atol=1e-6)


def test_images_of_the_other_part_or_of_other_data_are_refused(tiny_run):
    columns, folder = evaluation(tiny_run).columns, tiny_run.folder
    with pytest.raises(InputError, match=r"held-out\.npz: found the held-out images, expected the train ones"):
        columns_of.read_real_images(folder / "held-out.npz", folder / "train.npz", columns)
    other = dataclasses.replace(columns[0].reference, about={**columns[0].reference.about, "data": "faces"})
    changed = [dataclasses.replace(columns[0], reference=other)]
    with pytest.raises(InputError, match=r"train\.npz: found images .* expected 'faces' as in the references"):
        columns_of.read_real_images(folder / "train.npz", folder / "held-out.npz", changed)


def test_choices_by_another_protocol_or_extractor_are_refused(tiny_run):
    columns = evaluation(tiny_run).columns
    cnn, mlp = (tiny_run.extractor(name).identity for name in NAMES)
    baseline = {"protocol": "p", "extractor": cnn}
    columns_of.require_chosen_alike([baseline, {"search": "evolution", "protocol": "p", "extractor": cnn}], columns)
    with pytest.raises(InputError, match="choice of evolution: protocol q, expected p"):
        columns_of.require_chosen_alike([baseline, {"search": "evolution", "protocol": "q", "extractor": cnn}], columns)
    with pytest.raises(InputError, match=r"expected 'cnn' .* give the searched extractor first"):
        columns_of.require_chosen_alike([{"protocol": "p", "extractor": mlp}], columns)


def test_the_protocols_of_a_report_are_those_of_all_blocks(scored, tiny_run):
    made = evaluation(tiny_run)
    rows = final_rows.methods({"entries": scored, "chosen": baselines.choose(scored)}, [])[:1]
    emas = made.run(final_rows.hindsight_methods({"entries": scored})[:1], "test", guards=False)
    measured = made.run(rows, "test", guards=True)
    three = final.record(made, measured, emas, "tiny")
    made.blocks.pop()
    two = final.record(made, measured, emas, "tiny")
    assert set(three["protocols"]) == set(two["protocols"])
    assert not set(three["protocols"].values()) & set(two["protocols"].values())


def test_milestones_of_a_search_whose_score_keeps_falling_are_finalists():
    row = averaging.uniform(3)
    generations = [
        Generation(number, "p", "b", {}, (Scored(Candidate(row, "x"), 100.0 - number),), (None,), {}, None)
        for number in range(40)
    ]
    assert [found["generation"] for found in finalists(generations, 3)] == [39, 38, 37, 9, 19, 29]
    assert [found["generation"] for found in finalists(generations[:1], 3)] == [0]


def test_reported_distances_are_of_images_of_bytes_on_report_noise(tiny_run):
    found = evaluation(tiny_run)
    for block, noise in enumerate(found.blocks):
        expected = found.context.noise("report", block, 120)
        assert np.array_equal(noise.chunk(0, 20).arrays[0], expected.chunk(0, 20).arrays[0])
    with found.context.workers.generator() as generator:
        generator.load(tiny_run.bank.checkpoint(0))
        images = next(generate(generator, found.blocks[0], 20))
    assert torch.equal(images, to_float(to_bytes(images)))


def test_without_averages_nothing_is_best_in_hindsight(tiny_run):
    found = evaluation(tiny_run)
    assert final.best_in_hindsight([], found.columns) == {}


def test_the_chosen_ema_keeps_its_own_distances_beside_the_one_in_hindsight(tiny_run):
    found = evaluation(tiny_run)
    entries = [
        {"name": name, "family": family, "label": name, "weights": weights.of_coefficients(row)}
        for name, family, row in (
            ("last", "last", averaging.single(tiny_run.bank.K, tiny_run.bank.K - 1)),
            ("ema", "ema", averaging.ema_shaped(tiny_run.bank.steps, 0.8)),
            ("other", "ema", averaging.uniform(tiny_run.bank.K)),
        )
    ]
    rows = found.run(entries, "rows", guards=False)
    written = final.record(found, rows[:2], rows[1:], "tiny")
    assert [row["columns"] for row in written["methods"]] == [row["columns"] for row in rows[:2]]
    for key, best in written["hindsight"].items():
        assert best["mean"] == min(row["columns"][key]["mean"] for row in rows[1:])
