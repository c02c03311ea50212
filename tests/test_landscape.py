"""Planes through three weights: coefficients, projections, the measured landscape, its figure and its settings."""

from __future__ import annotations

import copy
import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_workflow import CONFIG
from tiny import SCORING

from lcsc import layout, weights
from lcsc.cli import main
from lcsc.config import resolve, step_settings
from lcsc.errors import InputError
from lcsc.files import read_json, write_json
from lcsc.paper.landscape import Plane, axis, corners, plane
from lcsc.paper.landscape_record import record
from lcsc.plan.work import Work, of_landscape
from lcsc.report.figures.landscape import draw_alike
from lcsc.report.figures.scales import FEW_LINES, MOST_LINES, lines
from lcsc.runtime import deterministic
from lcsc.search.averaging import ema_shaped

STEPS = (5, 10, 15, 20, 25, 30, 35, 40)
LANDSCAPE = {"checkpoints": "raw", "rate": 0.9, "steps": [20, 30, 40], "low": -0.5, "high": 1.5, "points": 5}


def test_raw_corners_are_the_checkpoints_themselves():
    assert np.array_equal(corners(STEPS, "raw", 0.9, [40, 5, 20]), np.eye(8)[[7, 0, 3]])


def test_averaged_corners_are_of_the_checkpoints_so_far():
    rows = corners(STEPS, "ema", 0.9, [5, 20, 40])
    assert np.array_equal(rows[0], np.eye(8)[0])
    assert np.array_equal(rows[1], [*ema_shaped(STEPS[:4], 0.9)[0], 0, 0, 0, 0])
    assert np.array_equal(rows[2], ema_shaped(STEPS, 0.9)[0])


def test_steps_without_a_checkpoint_are_refused():
    with pytest.raises(InputError, match=r"landscape.steps: found 12, expected three steps of the bank's 8"):
        corners(STEPS, "raw", 0.9, [5, 12, 20])


@given(st.sampled_from(["raw", "ema"]), st.floats(-3, 0), st.floats(1, 3), st.integers(3, 20))
def test_a_plane_goes_through_its_corners_and_its_coefficients_sum_to_one(kind, low, high, points):
    rows = corners(STEPS, kind, 0.9, [5, 20, 40])
    assert np.array_equal(plane(rows, np.array([0.0, 1.0]), np.array([0.0, 1.0]))[[0, 0, 1], [0, 1, 0]], rows)
    places = axis(low, high, points)
    found = plane(rows, places, places[:-1])
    assert found.shape == (points - 1, points, 8)
    assert found.sum(axis=-1) == pytest.approx(np.ones((points - 1, points)))
    assert found[1, 2] == pytest.approx(rows[0] + places[2] * (rows[1] - rows[0]) + places[1] * (rows[2] - rows[0]))


@pytest.mark.parametrize("points", [5, 9, 13, 17, 25])
def test_an_axis_meets_the_corners(points):
    assert {0.0, 1.0} <= set(axis(-0.5, 1.5, points).tolist())


def three(seed=0, size=50):
    return np.random.default_rng(seed).normal(size=(3, size))


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0, 3))
def test_a_projection_finds_the_point_and_the_share_that_is_off_the_plane(x, y, off):
    theta0, theta1, theta2 = three()
    sides, _ = np.linalg.qr(np.stack([theta1 - theta0, theta2 - theta0, three(1)[0]], axis=1))
    along = x * (theta1 - theta0) + y * (theta2 - theta0)
    found = Plane(theta0, theta1, theta2).project(theta0 + along + off * sides[:, 2])
    assert (found.x, found.y) == pytest.approx((x, y), abs=1e-9)
    whole = np.hypot(off, np.linalg.norm(along))
    if whole > 1e-3:
        assert found.residual == pytest.approx(off / whole, abs=1e-9)


def test_the_origin_and_what_is_orthogonal_are_projected_on_the_origin():
    theta0, u, v, n = np.eye(4, dtype=np.float32)
    through = Plane(theta0, theta0 + 3 * u, theta0 + 4 * v)
    assert through.lengths == (3.0, 4.0)
    assert through.angle == pytest.approx(90)
    here, away = through.project(theta0), through.project(theta0 + n)
    assert (here.x, here.y, here.residual) == (0, 0, 0)
    assert (away.x, away.y, away.residual) == (0, 0, 1)


def test_three_weights_on_one_line_are_refused():
    theta, direction, _ = three()
    with pytest.raises(InputError, match="on one line"):
        Plane(theta, theta + direction, theta - 2 * direction)


def test_a_quadratic_s_landscape_is_a_paraboloid_with_its_bottom_at_the_projection():
    checkpoints, target = np.random.default_rng(2).normal(size=(8, 50)), three(3)[0]
    rows = corners(STEPS, "ema", 0.95, [10, 25, 40])
    places = axis(-1, 2, 31)
    values = (((plane(rows, places, places) @ checkpoints) - target) ** 2).sum(axis=-1)
    through = Plane(*(rows @ checkpoints))
    bottom, off = through.project(target), target - rows[0] @ checkpoints
    x, y = np.meshgrid(places - bottom.x, places - bottom.y)
    (first, second), angle = through.lengths, np.radians(through.angle)
    rise = (first * x) ** 2 + 2 * first * second * np.cos(angle) * x * y + (second * y) ** 2
    assert values == pytest.approx(bottom.residual**2 * (off @ off) + rise, rel=1e-9)


class Toy:
    """Measures that are the squared distance from ``target``, over a bank in memory."""

    keys = ("toy",)

    def __init__(self, bank, target):
        self.context, self.target = SimpleNamespace(bank=bank), target

    def of(self, records, what):
        return [{"toy": float(((weights.load(r, self.context.bank) - self.target) ** 2).sum())} for r in records]

    def about(self):
        return {"images": 1}


def test_a_record_has_its_lowest_point_where_the_target_is(tiny_run):
    bank = tiny_run.bank
    target = weights.load(weights.of_coefficients(plane(corners(STEPS, "raw", 0, [20, 30, 40]), [1], [0.5])[0]), bank)
    mark = {"name": "evolution", "label": "LCSC", "weights": weights.of_coefficients(np.eye(8)[None, 4])}
    found = record(Toy(bank, target), [mark], {"run": "r", "name": "n", "landscape": LANDSCAPE})
    values = np.array(found["distances"]["toy"])
    assert values.shape == (5, 5)
    assert np.unravel_index(values.argmin(), values.shape) == (2, 3)  # y = 0.5, x = 1
    assert (found["ys"][2], found["xs"][3]) == (0.5, 1.0)
    assert found["marks"][0]["distances"]["toy"] == pytest.approx(((bank.checkpoint(4) - target) ** 2).sum(), rel=1e-6)
    assert 0 < found["marks"][0]["residual"] < 1


def test_contour_lines_are_a_few_plain_numbers():
    assert lines(40, 3000) == [50, 100, 200, 500, 1000, 2000]
    assert lines(190, 232) == [200, 210, 220, 230] or len(lines(190, 232)) >= FEW_LINES
    for low, high in ((1, 1.5), (0.02, 7), (99, 101), (1, 1e6)):
        assert 1 <= len(lines(low, high)) <= MOST_LINES
        assert all(low < value < high for value in lines(low, high))


EVOLUTION = {
    "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
    "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
}  # fmt: skip


def lcsc(tiny_run, step, *arguments, expected=0, **settings):
    given = ["--settings", json.dumps({**SCORING, "images": 60, **settings}), "--device", "cpu"]
    command = [step, "--bank", tiny_run.folder / "bank", *given, *arguments]
    assert main([str(argument) for argument in command]) == expected


@pytest.fixture(scope="module")
def folder(tiny_run, tmp_path_factory):
    """A search's choice and the baselines."""
    folder = tmp_path_factory.mktemp("landscape")
    by = ["--extractor", tiny_run.folder / "cnn.safetensors", "--reference", tiny_run.folder / "train.cnn.h5"]
    with deterministic(1):
        output = ["--count", 2, "--output", folder / "search"]
        lcsc(tiny_run, "search", *by, *output, name="evolution", search=EVOLUTION)
        chosen = ["--generations", *sorted((folder / "search").glob("generation-*.json"))]
        selection = ["--output", folder / "selection.json"]
        lcsc(tiny_run, "select", *by, *chosen, *selection, name="evolution", finalists=1)
        lcsc(tiny_run, "baselines", *by, "--output", folder / "baselines.json", baselines={"ema_shaped": [0.8, 0.9]})
    return folder


def run_landscape(tiny_run, folder, name, *further, part="held-out", expected=0, **changes):
    output = folder / "results" / "tiny" / "landscapes" / f"{name}.json"
    measures = ["--extractors", *(tiny_run.folder / f"{e}.safetensors" for e in ("cnn", "mlp"))]
    measures += ["--references", *(tiny_run.folder / f"{part}.{e}.h5" for e in ("cnn", "mlp"))]
    given = ["--baselines", folder / "baselines.json", "--selection", folder / "selection.json", "--output", output]
    settings = {"run": "tiny", "name": name, "landscape": {**LANDSCAPE, **changes}}
    lcsc(tiny_run, "landscape", *measures, *given, *further, expected=expected, **settings)
    return output


def test_a_landscape_by_hand_is_the_same_bytes_with_two_workers(tiny_run, folder):
    path = run_landscape(tiny_run, folder, "raw")
    first = path.read_bytes()
    assert run_landscape(tiny_run, folder, "raw", "--cores", "2").read_bytes() == first
    found = read_json(path, kind="landscape")
    marks = {mark["name"]: mark for mark in found["marks"]}
    assert list(marks) == ["last", "ema", "evolution"]
    last = marks["last"]  # θ₂ itself
    assert (last["x"], last["y"], last["residual"]) == pytest.approx((0, 1, 0), abs=1e-6)
    assert 0 < marks["evolution"]["residual"] <= 1
    context = tiny_run.context()
    for extractor in ("cnn", "mlp"):
        reference = tiny_run.reference(extractor, "held-out")
        evaluator = context.evaluator(tiny_run.extractor(extractor), reference, "report", 60)
        key = f"{extractor}/held-out"
        scores = {k: evaluator.score(tiny_run.bank.checkpoint(k)).value for k in (3, 5, 7)}
        values, zero, one = found["distances"][key], found["xs"].index(0), found["xs"].index(1)
        at_corners = [values[zero][zero], values[zero][one], values[one][zero]]  # [y][x]
        assert at_corners == pytest.approx([scores[k] for k in (3, 5, 7)], rel=1e-6)
        assert last["distances"][key] == pytest.approx(scores[7], rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"part": "train"}, "expected those of the held-out images"),
        ({"steps": [20, 30, 41]}, "landscape.steps: found 41, expected three steps of the bank's 8 checkpoints"),
    ],
)
def test_a_landscape_that_cannot_be_made_is_refused(tiny_run, folder, capsys, changes, words):
    run_landscape(tiny_run, folder, "none", expected=2, **changes)
    assert words in capsys.readouterr().err


SPEC = {"kind": "landscape", "title": "Planes", "landscapes": [["tiny", "raw"], ["tiny", "ema"]], "methods": None}


def draw(folder, output, expected=0):
    runs = {"tiny": {"training": None, "steps": None, "searches": {}}}
    settings = json.dumps({"figures": {"planes": SPEC}, "claims": [], "runs": runs})
    options = ["--settings", settings, "--results", str(folder / "results"), "--output", str(folder / output)]
    assert main(["figures", *options]) == expected


def test_a_figure_of_landscapes_is_the_same_bytes_each_time(tiny_run, folder):
    for name, changes in (("raw", {}), ("ema", {"checkpoints": "ema", "steps": [10, 25, 40]})):
        run_landscape(tiny_run, folder, name, **changes)
    draw(folder, "a"), draw(folder, "b")
    files = sorted(path.name for path in (folder / "a").iterdir())
    assert files == ["paper.md", "planes.csv", "planes.png", "planes.svg", "report.html"]
    assert all((folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes() for name in files)
    with (folder / "a" / "planes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 2 * (5 * 5 + 3)  # landscapes, extractors, points and marks
    known = read_json(folder / "results" / "tiny" / "landscapes" / "ema.json", kind="landscape")
    (row,) = [r for r in rows if (r["landscape"], r["what"], r["extractor"], r["x"], r["y"]) == ("ema", "plane", "mlp", "0.5", "1.5")]  # fmt: skip # noqa: E501
    assert float(row["distance"]) == known["distances"]["mlp/held-out"][4][2]
    svg = (folder / "a" / "planes.svg").read_text(encoding="utf-8")
    assert "LCSC (evolution) at x " in svg
    assert "Averages (0.9) to 10, 25, 40: lowest FD (mlp)" in svg
    page = (folder / "a" / "paper.md").read_text(encoding="utf-8")
    assert "; grid spacing 0.5, 60 images a point." in page
    assert ", ".join(f"`{protocol[:12]}`" for protocol in known["protocols"].values()) in page


def test_a_report_has_the_figures_of_landscapes_that_the_workflow_expects(tiny_run, folder):
    raw, ema = (read_json(run_landscape(tiny_run, folder, name), kind="landscape") for name in ("raw", "ema"))
    other = {**ema, "images": 61}
    for records, count in (([], 0), ([raw], 1), ([raw, ema], 1), ([raw, other, ema], 2)):
        entries = {str(place): {"images": record["images"]} for place, record in enumerate(records)}
        assert layout.landscape_figures(entries) == count
        expected = [layout.landscape_figure(place) for place in range(1, count + 1)]
        assert [drawing.name for drawing in draw_alike(records)] == expected


def test_landscapes_that_do_not_compare_are_refused(tiny_run, folder, capsys):
    path = run_landscape(tiny_run, folder, "ema", checkpoints="ema")
    run_landscape(tiny_run, folder, "raw")
    write_json(path, {**read_json(path, kind="landscape"), "images": 61}, kind="landscape")
    draw(folder, "c", expected=2)
    assert "of 60 images; cnn/held-out, mlp/held-out of 61 images; expected the same" in capsys.readouterr().err


def test_points_without_a_distance_are_drawn_as_gaps(tiny_run, folder):
    path = run_landscape(tiny_run, folder, "ema", checkpoints="ema")
    run_landscape(tiny_run, folder, "raw")
    found = read_json(path, kind="landscape")
    found["distances"]["mlp/held-out"][4][4] = None
    write_json(path, found, kind="landscape")
    draw(folder, "d")
    assert "tiny,ema,plane,mlp,1.5,1.5,0.0,\n" in (folder / "d" / "planes.csv").read_text(encoding="utf-8")


def with_landscape(figure=None, claims=(), **changes):
    config = copy.deepcopy(CONFIG)
    config["runs"]["tiny"] = {"landscapes": {"raw": {"steps": [22, 30, 40], **changes}}}
    spec = {"kind": "landscape", "title": "Planes", "landscapes": [["tiny", "raw"]], **(figure or {})}
    return {**config, "figures": {"planes": spec}, "claims": list(claims)}


def test_the_configuration_is_the_step_s_settings():
    config = resolve(with_landscape())
    settings = step_settings(config, "tiny", "landscape", name="raw")
    expected = {"checkpoints": "raw", "rate": 0.98, "steps": [22, 30, 40], "low": -0.5, "high": 1.5, "points": 17}
    assert settings["landscape"] == expected
    assert (settings["images"], settings["run"], settings["name"]) == (2000, "tiny", "raw")
    assert of_landscape(config["runs"]["tiny"], "raw") == Work(17 * 17 + 4, 2000, measures=2)
    plain = resolve(CONFIG)
    for step, name in (("baselines", None), ("search", "tensor"), ("evaluate", None), ("train", None)):
        assert step_settings(config, "tiny", step, name=name) == step_settings(plain, "tiny", step, name=name)


CLAIM = {"claim": "c", "here": "h", "figure": "planes", "measure": {"kind": "ratio", "method": "ema", "at": 1}}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (with_landscape(steps=[22, 30, 41]), "landscapes.raw.steps[2]: found 41, expected a step that the training"),
        (with_landscape(steps=[20, 30, 40]), "every 2 from 22 to 40"),
        (with_landscape(steps=[22, 30, 30]), "expected a list of 3 items, all different"),
        (with_landscape(low=2), "landscapes.raw.low: found 2, expected less than high (1.5)"),
        (with_landscape(points=2), "landscapes.raw.points: found 2, expected a whole number of at least 3"),
        (with_landscape(checkpoints="best"), "landscapes.raw.checkpoints"),
        (with_landscape({"landscapes": [["tiny", "late"]]}), "found 'late', expected a name in 'landscapes' of the"),
        (with_landscape({"landscapes": [["none", "raw"]]}), "found 'none', expected names in 'runs': tiny"),
        (
            with_landscape({"methods": ["adam"]}),
            "figures.planes.methods: found 'adam', expected what landscapes of the",
        ),
        (with_landscape({"points": []}), "figures.planes.points"),
        (
            with_landscape(claims=[CLAIM]),
            "found 'planes', expected a name in 'figures', not of a landscape or of coefficients: none",
        ),
    ],
)
def test_landscapes_that_cannot_be_made_are_refused(config, words):
    with pytest.raises(InputError) as refused:
        resolve(config)
    assert words in str(refused.value)
