"""Extractors in the configuration: a section for each kind, and which of them may judge which."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_workflow import CONFIG
from test_config import refusal

from lcsc import layout
from lcsc.config import extractor_id, resolve, step_settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
INCEPTION = {"kind": "inception"}
DINO = {"kind": "dinov2", "weights": "dino.pth", "sha256": "0" * 64, "architecture": "vit_small_patch14_dinov2"}
EFFICIENTNET = {"kind": "efficientnet_lite0", "size": 32}


def with_extractors(roles: dict[str, str] | None = None, **entries: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["extractors"] |= entries
    config["defaults"]["extractors"] |= roles or {}
    return config


def test_one_that_nothing_trains_has_settings_of_its_own_and_no_images():
    config = resolve(with_extractors({"search": "eff"}, eff=EFFICIENTNET))
    found = step_settings(config, None, "extractor", name="eff")
    assert found == {"name": "eff", "kind": "efficientnet_lite0", "size": 32, "resize": "bicubic-antialias"}
    other = resolve(with_extractors({"search": "eff"}, eff={**EFFICIENTNET, "size": 64}))
    assert extractor_id(config, "eff") != extractor_id(other, "eff")
    assert step_settings(config, "tiny", "search", name="evolution")["extractor"] == extractor_id(config, "eff")


def test_ids_of_classifiers_are_what_they_were():
    assert extractor_id(resolve(CONFIG), "cnn") == "cnn-698b7fe564"
    assert extractor_id(resolve(CONFIG), "mlp") == "mlp-8fa49752db"


@pytest.mark.parametrize(
    ("entry", "parts"),
    [({**EFFICIENTNET, "size": 40}, ["eff.size: found 40", "at least 32 and a multiple of 32"]),
     ({**EFFICIENTNET, "resize": "nearest"}, ['eff.resize: found "nearest"', "one of bilinear-antialias"]),
     ({**EFFICIENTNET, "data": "digits"}, ["eff.data: found a key of classifier", "one of kind, resize, size"]),
     ({**EFFICIENTNET, "kind": "resnet"}, ['eff.kind: found "resnet"', "inception, efficientnet_lite0, dinov2"]),
     ({**INCEPTION, "mode": "dirty"}, ['eff.mode: found "dirty"', "one of clean, legacy_pytorch, legacy_tensorflow"]),
     ({**INCEPTION, "sha256": "f58"}, ['eff.sha256: found "f58"', "64 hexadecimal digits or null"]),
     ({**DINO, "std": [0.2, 0, 0.2]}, ["eff.std[1]: found 0", "above 0"]),
     ({"kind": "dinov2", "weights": "x"}, ["eff.sha256: found nothing", "64 hexadecimal digits"]),
     ({"kind": "classifier"}, ["eff.data: found nothing"])],
)  # fmt: skip
def test_a_kind_s_section_is_judged_by_its_own_keys(entry, parts):
    message = refusal(with_extractors(eff=entry))
    assert all(part in message for part in parts), message


def test_two_of_one_network_do_not_judge_each_other():
    message = refusal(
        with_extractors({"search": "eff", "held_out": "big"}, eff=EFFICIENTNET, big={**EFFICIENTNET, "size": 64})
    )
    assert "extractors.held_out: found 'big' of the kind that 'eff' has" in message
    assert resolve(with_extractors({"search": "cnn", "held_out": "eff"}, eff=EFFICIENTNET))


def searched(name, method="gradient", **entries):
    """The small configuration whose search ``tensor`` has an extractor of its own."""
    config = with_extractors(**entries)
    config["defaults"]["searches"]["own"] = {"method": method, "extractor": name}
    return config


HALF = {"variant": {"dtype": "bfloat16"}}


def test_a_faster_variant_may_be_searched_and_may_not_choose_or_judge():
    entries = {"eff": EFFICIENTNET, "half": {**EFFICIENTNET, **HALF}}
    assert resolve(searched("half", **entries))["runs"]["tiny"]["searches"]["own"]["extractor"] == "half"
    for role in ("search", "held_out"):
        message = refusal(with_extractors({role: "half"}, **entries))
        assert f"extractors.{role}: found 'half', a faster variant, expected an exact extractor" in message
    assert "'own' of the kind" not in refusal(searched("half", **entries) | {"device": "tpu"})
    message = refusal(searched("inc", inc={**INCEPTION, "resize": "bicubic-antialias", "variant": {"compile": True}}))
    assert "inc.variant.compile: found true, expected false" in message


def test_no_variant_leaves_the_id_as_it_was():
    config, same = (resolve(with_extractors(eff={**EFFICIENTNET, **other})) for other in ({}, {"variant": None}))
    assert extractor_id(config, "eff") == extractor_id(same, "eff")
    assert extractor_id(config, "eff") != extractor_id(resolve(with_extractors(eff={**EFFICIENTNET, **HALF})), "eff")
    cnn = {**CONFIG["extractors"]["cnn"], "stages": None, "width": None}
    assert extractor_id(resolve(with_extractors(cnn=cnn)), "cnn") == extractor_id(resolve(CONFIG), "cnn")
    wide = resolve(with_extractors(cnn={**cnn, "stages": 3}))
    assert step_settings(wide, None, "extractor", name="cnn")["stages"] == 3
    message = refusal(with_extractors(mlp={**CONFIG["extractors"]["mlp"], "stages": 2}))
    assert "mlp.stages: found 2, expected null with 'architecture: mlp'" in message


def test_a_search_along_gradients_needs_an_extractor_with_gradients():
    message = refusal(searched("inc", inc=INCEPTION))
    assert "searches.own.extractor: found 'inc', whose resizing has no gradient" in message
    assert "add its twin to 'extractors', the same but for 'resize: bicubic-antialias'" in message
    assert resolve(searched("inc", method="evolution", inc=INCEPTION))
    assert resolve(searched("twin", inc=INCEPTION, twin={**INCEPTION, "resize": "bicubic-antialias"}))
    chosen = with_extractors({"search": "inc"}, inc=INCEPTION)
    assert "searches.tensor.extractor: found 'inc', whose resizing has no gradient" in refusal(chosen)
    del chosen["defaults"]["searches"]["tensor"]
    assert "fine_tune.adam.extractor: found 'inc', whose resizing has no gradient" in refusal(chosen)


def test_where_weights_lie_changes_no_id_and_which_they_are_does():
    def found(**other):
        config = resolve(with_extractors(inc={**INCEPTION, **other}))
        return extractor_id(config, "inc"), step_settings(config, None, "extractor", name="inc")

    plain = found()
    assert found(weights="elsewhere.pt") == plain
    assert found(sha256="0" * 64)[0] != plain[0]
    assert plain[1] == {"name": "inc", "kind": "inception", "mode": "clean", "sha256": None, "resize": None}


def test_weights_are_those_named_or_fetched():
    entries = {"inc": INCEPTION, "own": {**INCEPTION, "weights": "w.pt"}, "dino": DINO, "eff": EFFICIENTNET}
    config = resolve(with_extractors(**entries))
    found = {name: layout.weights_path(config, name, "r") for name in (*entries, "cnn")}
    fetched = "r/shared/weights/inception-2015-12-05.pt"
    assert found == {"inc": fetched, "own": "w.pt", "dino": "dino.pth", "eff": None, "cnn": None}
    legacy = resolve(with_extractors(inc={**INCEPTION, "mode": "legacy_pytorch"}))
    assert layout.weights_path(legacy, "inc").endswith("/pt_inception-2015-12-05-6726825d.pth")


def test_the_page_s_configurations_are_valid():
    text = (DOCS / "extractors.md").read_text(encoding="utf-8")
    entries, run = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    config = copy.deepcopy(CONFIG)
    config["extractors"] |= entries["extractors"]
    config["runs"] = run["runs"]
    config["defaults"]["searches"] = {"evolution": CONFIG["defaults"]["searches"]["evolution"]}
    found = resolve(config)
    assert [found["extractors"][name]["kind"] for name in ("fid", "lite", "dino", "cnn")] == [
        "inception", "efficientnet_lite0", "dinov2", "classifier"
    ]  # fmt: skip
    assert step_settings(found, "mine", "search", name="gradient")["extractor"] == extractor_id(found, "fid-twin")
