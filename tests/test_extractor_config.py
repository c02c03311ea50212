"""Extractors in the configuration: a section for each kind, and which of them may judge which."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from small_workflow import CONFIG
from test_config import refusal

from lcsc.config import extractor_id, resolve, step_settings

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
     ({**EFFICIENTNET, "kind": "resnet"}, ['eff.kind: found "resnet"', "one of classifier, efficientnet_lite0"]),
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
