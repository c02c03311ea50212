"""What a distance is called: FID with its mode where clean-fid's Inception made it, FD with its extractor elsewhere."""

from __future__ import annotations

import json

import pytest
from records import rewrite
from report_records import make_run
from stand_ins import torchscript_inception
from test_inception import settings

from lcsc.extractors import load_extractor
from lcsc.extractors.making import make_extractor
from lcsc.files import sha256_of
from lcsc.protocol import distance_name
from lcsc.report import make_report
from lcsc.report.reading import read_evaluation
from lcsc.report.records import Searched
from lcsc.report.tables import result_table


def test_names():
    assert distance_name("cnn") == "FD (cnn)"
    assert distance_name("cnn: cnn + pixels", "") == "FD (cnn: cnn + pixels)"
    assert distance_name("inc", "FID (clean)") == "FID (clean)"
    assert Searched("a", "a: bfloat16").distance == "FD (a: bfloat16)"
    assert Searched("inc", "inc", "FID (clean)").distance == "FID (clean)"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A run that chose by Inception, which one of its searches lowered by a distance of its own."""
    made = make_run(tmp_path_factory.mktemp("run"), searches=("evolution", "own"), own=("own",), generations=2)
    record = json.loads(made.evaluation.read_text())
    for column in record["columns"]:
        if column["extractor"] == "cnn":
            column["measure"], column["label"] = "FID (clean)", column["label"].replace("FD (cnn)", "FID (clean)")
    rewrite(made.evaluation, record)
    return made


def test_tables_and_figures_say_fid_for_inception_alone(inputs, tmp_path):
    evaluation = read_evaluation(inputs.evaluation)
    labels = [heading.label for heading in result_table(evaluation).headings]
    assert labels[:2] == ["FID (clean)", "FD (mlp)"]
    assert evaluation.choosing_distance == "FID (clean)"
    make_report(inputs, tmp_path / "report.html", tmp_path / "figures")
    page = (tmp_path / "report.html").read_text()
    assert "FID (clean)" in page
    assert "FD (cnn)" not in page


def test_a_protocol_and_records_of_a_search_say_fid(tiny_run, tmp_path):
    script = torchscript_inception(tmp_path / "inception-2015-12-05.pt")
    made = tmp_path / "inc.safetensors"
    make_extractor(settings({"clean": script}, "clean"), made, script)
    extractor = load_extractor(made)
    assert extractor.facts == (
        "Extractor inc: 2,048 features by Inception-V3 of images resized to 299 pixels (clean), weights "
        f"inception-2015-12-05.pt with sha256 {sha256_of(script)[:12]}; its file has sha256 {sha256_of(made)[:12]}."
    )
    reference = tiny_run.reference("cnn")  # protocols name it, and compare nothing
    protocol = tiny_run.context(1).protocol(extractor, reference, "search", 20)
    assert protocol.words().startswith("FID (clean): Fréchet distance")
    cnn = tiny_run.context(1).protocol(tiny_run.extractor("cnn"), reference, "search", 20)
    assert cnn.words().startswith("FD (cnn): Fréchet distance")
    assert "measure" not in cnn.extractor
