"""Figures over runs of every kind, from records to files: numbers and claims against numbers reckoned here."""

import csv
import json
from itertools import combinations
from statistics import median
from xml.etree import ElementTree

import numpy as np
import pytest
from paper_records import ABOUT, EXTRACTORS, PLACES, SEEDS, distance, make_results, name_of, rows_of

from lcsc.bank import Bank
from lcsc.cli import main
from lcsc.files import read_json

RUNS = [name_of(1000, seed) for seed in SEEDS]
POINTS = [{"x": x, "runs": [name_of(x, seed) for seed in SEEDS]} for x in PLACES]
METHODS = {"title": "Methods", "methods": ["last", "ema", "evolution", "gradient"], "labels": {"last": "The last one"}}
FIGURES = {
    "lengths": {
        "kind": "points", "title": "Lengths", "x": {"label": "Training steps", "scale": "log"},
        "methods": ["last", "ema", "evolution", "gradient"], "labels": {}, "points": POINTS,
    },
    "methods": {"kind": "methods", "runs": RUNS, **METHODS},
    "transfer": {
        "kind": "transfer", "title": "Transfer", "x": "Used at", "found": "Found at", "searched": "evolution",
        "points": POINTS, "sources": [{"x": 1000, "method": "from-1000"}, {"x": 8000, "method": None}],
    },
    "coefficients": {
        "kind": "coefficients", "title": "Coefficients", "runs": RUNS, "methods": ["evolution", "gradient"],
        "labels": {}, "scale": "linear",
    },
    "similarity": {
        "kind": "similarity", "title": "Alike", "runs": RUNS, "methods": ["last", "evolution", "gradient"],
        "labels": {},
    },
    "convergence": {
        "kind": "convergence", "title": "Convergence", "runs": RUNS, "methods": ["evolution", "gradient"],
        "labels": {},
    },
    "cost": {
        "kind": "cost", "title": "Cost", "figure": "lengths", "at": 1000, "methods": ["evolution", "gradient"],
        "labels": {},
    },
    "landscape": {"kind": "landscape", "title": "Planes", "landscapes": [[RUNS[0], "raw"]], "methods": None},
    "marked": {"kind": "landscape", "title": "Planes", "landscapes": [[RUNS[0], "raw"]], "methods": ["last"]},
}  # fmt: skip


def claim(name, figure, target, **measure):
    limits = {"at_most": None, "at_least": None} | target
    about = {"paper": "open", "here": "made up"}
    return {"claim": name, "figure": figure, "target": limits, "measure": measure, **about}


def over_ema(at, method):
    return {"kind": "ratio", "method": method, "base": "ema", "at": at, "base_at": None}


PAIR = {"method": "evolution", "base": "gradient"}
CLAIMS = [
    claim("by methods", "methods", {"at_most": 0.61}, **over_ema(None, "evolution")),
    claim("by transfer", "transfer", {"at_most": 0.79}, **over_ema(2000, "from-1000")),
    claim("alike", "similarity", {"at_least": -1}, kind="similarity", of="weights", **PAIR),
    claim("sooner", "convergence", {"at_least": 0.6}, kind="sooner", by="seconds", method="gradient", base="evolution"),
    claim("cheaper", "cost", {"at_least": 5}, kind="cost", method="evolution"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def made(results):
    """The folder of all figures, made once."""
    assert figures(results, results / "figures") == 0
    return results / "figures"


def figures(results, output, shown=FIGURES, claims=CLAIMS):
    settings = json.dumps({"figures": shown, "claims": claims, "runs": ABOUT})
    return main(["figures", "--settings", settings, "--results", str(results), "--output", str(output)])


def rows(made, name, **wanted):
    """The lines of a figure's table of numbers that say ``wanted``."""
    with (made / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    return [row for row in found if all(row[key] == str(value) for key, value in wanted.items())]


def number(made, name, column, **wanted):
    (row,) = rows(made, name, **wanted)
    return float(row[column])


def claimed(made, name):
    """The cells of a claim's line in the page, from the unseen extractor's number on."""
    lines = (made / "paper.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.split("|")[4:7]]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_its_three_files_and_stands_in_both_pages(made, name):
    root = ElementTree.parse(made / f"{name}.svg").getroot()
    assert root.attrib["aria-label"].startswith(FIGURES[name]["title"])
    assert (made / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(rows(made, name)) > 5
    page = (made / "paper.md").read_text(encoding="utf-8")
    assert f"## {FIGURES[name]['title']}" in page
    assert f"Made by `snakemake --cores all results/figures/{name}.svg`." in page
    assert f'id="figure-{name}"' in (made / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("role", EXTRACTORS)
def test_methods_show_each_seed_s_distance(made, role):
    for method in METHODS["methods"]:
        for seed in SEEDS:
            found = number(made, "methods", "distance", method=method, extractor=role, seed=seed)
            assert found == pytest.approx(distance(method, role, 1000, seed))
    assert "The last one" in ElementTree.parse(made / "methods.svg").getroot().attrib["aria-label"]


def test_claims_about_methods_and_transfer_are_ratios_of_the_levels(made):
    assert claimed(made, "by methods") == ["0.600 (0.600–0.600) × the distance"] * 2 + ["holds (≤ 0.61)"]
    assert claimed(made, "by transfer") == ["0.800 (0.800–0.800) × the distance"] * 2 + ["does not hold (≤ 0.79)"]


def test_transfer_has_a_place_for_each_source_and_point_and_leaves_unmeasured_ones_empty(made):
    assert {row["x"] for row in rows(made, "transfer", method="from-1000")} == {"2000"}
    words = ElementTree.parse(made / "transfer.svg").getroot().attrib["aria-label"]
    assert "Found at 1,000 (unseen): 0.600 at 1,000, 0.800 at 2,000." in words
    assert "Found at 8,000 (searched): 0.600 at 8,000." in words


def test_coefficients_are_those_of_the_records_and_so_are_their_shapes(made):
    for seed, run in enumerate(RUNS):
        values = rows_of("gradient", 1000, seed)
        found = [
            float(row["value"]) for row in rows(made, "coefficients", method="gradient", run=run, what="coefficient")
        ]
        assert np.array_equal(np.reshape(found, values.shape), values)
        shares = np.abs(values) / np.abs(values).sum(axis=1, keepdims=True)
        expected = {
            "l1": np.abs(values).sum(axis=1).mean(),
            "l2": np.linalg.norm(values, axis=1).mean(),
            "negative": np.count_nonzero(values < 0) / values.size,
            "effective": np.mean(1 / np.square(shares).sum(axis=1)),
            "centre": np.mean(shares @ np.linspace(0, 1, 40)),
        }
        for what, value in expected.items():
            assert number(made, "coefficients", "value", method="gradient", run=run, what=what) == pytest.approx(value)


def test_the_page_says_how_alike_coefficients_of_training_seeds_are(made):
    away = [rows_of("gradient", 1000, seed).mean(axis=0) - 1 / 40 for seed in SEEDS]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(away, 2)]
    page = (made / "paper.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("| LCSC (gradient) | 5 |")]
    shown = float(line.split("|")[-2].strip().replace("−", "-"))
    assert shown == pytest.approx(median(cosines), rel=5e-3)


def merged(results, method, seed):
    """The weights [P] of a method by its rows, tensor by tensor, less the mean of the checkpoints."""
    bank = Bank.open(results / RUNS[seed] / "bank")
    checkpoints = np.stack([bank.checkpoint(place) for place in range(bank.K)]).astype(np.float64)
    coefficients = rows_of(method, 1000, seed)
    found = np.empty(bank.P)
    for place, tensor in enumerate(bank.tensors):
        part = slice(tensor.offset, tensor.offset + tensor.count)
        found[part] = coefficients[place % len(coefficients)] @ checkpoints[:, part]
    return found - checkpoints.mean(axis=0)


def test_weights_are_compared_as_the_bank_merges_them(results, made):
    expected = []
    for seed, run in enumerate(RUNS):
        one, other = merged(results, "evolution", seed), merged(results, "gradient", seed)
        expected.append(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
        found = number(made, "similarity", "similarity", of="weights", method="evolution", other="gradient", run=run)
        assert found == pytest.approx(expected[-1], abs=1e-5)
    assert claimed(made, "alike")[0] == "–"
    shown = float(claimed(made, "alike")[1].split()[0].replace("−", "-"))
    assert shown == pytest.approx(median(expected), rel=5e-3)


def test_images_are_compared_noise_by_noise(results, made):
    samples = np.load(results / RUNS[0] / "samples.npz")
    one, other = (samples["images"][list(samples["names"]).index(name)].astype(float) for name in ("last", "evolution"))
    same = np.mean([((a - b) ** 2).sum() for a, b in zip(one, other, strict=True)])
    any_noise = np.mean([((a - b) ** 2).sum() for a in one for b in other])
    found = number(made, "similarity", "similarity", of="images", method="last", other="evolution", run=RUNS[0])
    assert found == pytest.approx(1 - same / any_noise)


def test_the_course_of_a_search_falls_where_a_score_is_lower(made):
    found = rows(made, "convergence", method="evolution", run=RUNS[1])  # 2 s a score, 2 workers
    course = [(float(row["evaluations"]), float(row["seconds"]), float(row["score"])) for row in found]
    assert course == [(1, 1, 200), (2, 2, 150), (4, 4, 120), (5, 5, 90), (6, 6, 90)]
    found = rows(
        made, "convergence", method="gradient", run=RUNS[1]
    )  # 1 s by value, 4 s with its gradient: 8 evaluations
    course = [(float(row["evaluations"]), float(row["seconds"]), float(row["score"])) for row in found]
    assert course == [(1, 0.5, 180), (2, 1, 160), (10, 5, 110), (18, 9, 80), (26, 13, 60)]


def test_a_search_is_sooner_by_the_base_s_seconds_over_those_to_its_last_score(made):
    found = [
        3 * (1 + seed) / 9 for seed in SEEDS
    ]  # 6 scores of 1 + seed s by 2 workers; at 80, after 9 s, it is below 90
    assert claimed(made, "sooner") == ["–", f"{found[1]:.3f} ({found[0]:.3f}–1.00) times sooner", "holds (≥ 0.6)"]


def test_cost_is_the_steps_saved_times_a_step_s_seconds_over_the_jobs_of_the_search(made):
    steps = {"evolution": 1000 / 0.6**2, "gradient": 1000 / 0.4**2}  # where the best EMA's power law gets there
    search = {"evolution": 3 + 4 + 2, "gradient": 5 + 2}
    for role in EXTRACTORS:
        for method in steps:
            for seed in SEEDS:
                (row,) = rows(made, "cost", method=method, extractor=role, run=name_of(1000, seed))
                assert float(row["steps"]) == pytest.approx(steps[method])
                assert float(row["saved"]) == pytest.approx((steps[method] - 1000) * 0.02 * (1 + seed))
                assert float(row["search"]) == search[method] + (seed if method == "gradient" else 0)
                assert row["beyond"] == "False"
    saved = (steps["evolution"] - 1000) * 0.02 / 9
    expected = f"{2 * saved:.2f} ({saved:.2f}–{3 * saved:.1f}) s of training saved by 1 s of search"
    assert claimed(made, "cheaper") == [expected, expected, "holds (≥ 5)"]


def test_a_landscape_s_numbers_are_its_record_s(results, made):
    record = read_json(results / RUNS[0] / "landscapes" / "raw.json", kind="landscape")
    for extractor in ("cnn", "mlp"):
        found = [float(row["distance"]) for row in rows(made, "landscape", what="plane", extractor=extractor)]
        assert found == [value for line in record["distances"][f"{extractor}/held-out"] for value in line]
    assert number(made, "landscape", "off the plane", what="evolution", extractor="mlp") == 0.8
    words = ElementTree.parse(made / "landscape.svg").getroot().attrib["aria-label"]
    assert "LCSC (evolution) at x 2.40, y −0.30, 80% off it" in words
    assert {row["what"] for row in rows(made, "marked")} == {"plane", "last"}
    assert "evolution" not in ElementTree.parse(made / "marked.svg").getroot().attrib["aria-label"]
