"""Preconditionings and samplers in the configuration: what is refused, filled in, and kept out of hashes."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from small_workflow import CONFIG

from lcsc.config import kinds, resolve, step_settings
from lcsc.config.schema import read_schema
from lcsc.errors import InputError
from lcsc.generators.preconditioning import KINDS
from lcsc.generators.samplers import SAMPLERS


def config(preconditioning=None, sampler=None, own=True):
    """The small configuration with sections of its own, and checkpoints in place of the training."""
    given = copy.deepcopy(CONFIG)
    if own:
        del given["defaults"]["train"]
        given["defaults"]["checkpoints"] = {"folder": "x"}
    given["defaults"]["preconditioning"] = preconditioning or {}
    given["defaults"]["sampler"] = sampler or {}
    return given


def resolved(*sections):
    return resolve(config(*sections))["runs"]["tiny"]


DDPM = {"kind": "ddpm"}
EDM = {"kind": "edm"}


@pytest.mark.parametrize(
    ("preconditioning", "sampler", "parts"),
    [
        (DDPM, {"kind": "consistency"}, ["preconditioning.kind: found 'ddpm', expected 'consistency' as sampler"]),
        ({}, {"kind": "heun"}, ["found 'consistency', expected 'edm' or 'ddpm' as sampler heun needs"]),
        (EDM, {"kind": "ddim"}, ["found 'edm', expected 'ddpm' as sampler ddim needs"]),
        ({**DDPM, "sigma_data": 0.5}, {"kind": "ddim"}, ["preconditioning.sigma_data: found an unknown key"]),
        ({**DDPM, "beta_start": 0.03}, {"kind": "ddim"}, ["beta_start: found 0.03, expected a number below beta_end"]),
        (
            {**DDPM, "prediction": "x0"},
            {"kind": "ddim"},
            ['prediction: found "x0", expected one of epsilon, v'],
        ),
        ({**EDM, "noise_scale": 0}, {"kind": "euler"}, ["noise_scale: found 0, expected a number above 0"]),
        (DDPM, {"kind": "ddim", "spacing": "linspace"}, ['spacing: found "linspace", expected one of leading, trail']),
        (DDPM, {"kind": "ddim", "steps": 15, "spacing": "trailing"}, ["spacing: found 'trailing'", "divide 1000"]),
        (DDPM, {"kind": "ddim", "steps": 1}, ["sampler.steps: found 1, expected at least 2"]),
        (DDPM, {"kind": "ddim", "steps": 1001}, ["sampler.steps: found 1001, expected at most 1000"]),
        (DDPM, {"kind": "dpm-solver++", "steps": 1000}, ["sampler.steps: found 1000, expected at most 999"]),
        (DDPM, {"kind": "dpm-solver++", "order": 4}, ["order: found 4, expected one of 2, 3"]),
        (DDPM, {"kind": "dpm-solver++", "rho": 5}, ["rho: found 5.0, expected no such key with 'ddpm'", "for 'edm'"]),
        (EDM, {"kind": "dpm-solver++", "spacing": "leading"}, ["spacing: found leading, expected no such key"]),
        (EDM, {"kind": "ancestral", "variance": "small"}, ["variance: found small, expected no such key with 'edm'"]),
        (DDPM, {"kind": "ancestral", "variance": "learned"}, ["variance: found 'learned', expected one that the net"]),
        (EDM, {"kind": "heun", "sigma_min": 3, "sigma_max": 2}, ["sampler.sigma_min: found 3.0, expected a number be"]),
        ({}, {"ts": [0, 39]}, ["sampler.steps: found nothing, expected the number of noise levels", "--steps"]),
        ({}, {"ts": [0, 39], "steps": 40, "sigmas": [80.0]}, ["sampler.ts: found 'sigmas' beside it"]),
        ({}, {"ts": [0, 22, 38], "steps": 40}, ["sampler.ts[2]: found 38, expected steps - 1 (39)"]),
        ({}, {"ts": [2, 39], "steps": 40}, ["sampler.ts[0]: found 2, expected 0"]),
        ({}, {"ts": [0, 9, 9, 39], "steps": 40}, ["sampler.ts[2]: found 9 after 9, expected rising numbers"]),
        ({}, {"steps": 40}, ["sampler.steps: found 40, expected 'ts' beside it"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(preconditioning, sampler, parts):
    with pytest.raises(InputError) as caught:
        resolve(config(preconditioning, sampler), source="my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_every_kind_that_the_schema_has_is_built_and_says_what_it_is_for():
    sections = read_schema()["$defs"]["run"]["properties"]
    assert set(sections["sampler"]["x-kinds"]) == set(kinds.SAMPLERS) == set(SAMPLERS)
    assert set(sections["train"]["properties"]["recipe"]["enum"]) == set(kinds.RECIPES)
    assert {kind for suited in kinds.SAMPLERS.values() for kind in suited} == set(KINDS)
    assert set(sections["preconditioning"]["x-kinds"]) == set(KINDS)


def test_recipes_need_their_kind_of_preconditioning():
    with pytest.raises(InputError, match="found 'ddpm', expected 'consistency' as recipe consistency needs"):
        resolve(config(DDPM, {"kind": "ddim"}, own=False))


def test_every_key_of_a_network_over_timesteps_is_filled_in():
    run = resolved({**DDPM, "timesteps": 4000}, {"kind": "ddim"})
    assert run["preconditioning"] == {
        "kind": "ddpm", "prediction": "epsilon", "schedule": "linear", "timesteps": 4000, "beta_start": 0.0001,
        "beta_end": 0.02, "learned_variance": False, "rescale_timesteps": False, "nearest_timestep": False,
    }  # fmt: skip
    assert run["sampler"] == {"kind": "ddim", "steps": 50, "eta": 0.0, "spacing": "leading", "clip": False}


def test_keys_without_a_default_stay_away_so_that_hashes_stay_what_they_were():
    run = resolve(config(own=False))["runs"]["tiny"]
    assert run["sampler"] == {"kind": "consistency", "sigmas": [80.0]}
    assert run["preconditioning"] == {"kind": "consistency", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}
    assert resolved(EDM, {"kind": "heun"})["sampler"] == {"kind": "heun", "steps": 18, "rho": 7.0}


def test_ts_takes_the_place_of_the_default_noise_levels():
    sampler = {"kind": "consistency", "ts": [0, 22, 39], "steps": 40}
    run = resolved({}, sampler)
    assert run["sampler"] == sampler
    once = resolve(config({}, sampler))
    assert resolve(once) == once


def test_a_key_that_is_given_counts():
    plain, clipped = (
        step_settings(resolve(config(EDM, {"kind": "heun", **more})), "tiny", "baselines")
        for more in ({}, {"clip": True})
    )
    assert clipped["sampler"] == {**plain["sampler"], "clip": True}


def test_the_examples_of_the_page_are_valid():
    page = (Path(__file__).resolve().parent.parent / "docs" / "samplers.md").read_text(encoding="utf-8")
    examples = [yaml.safe_load(code) for code in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(examples) >= 5
    for example in examples:
        run = resolved(example["preconditioning"], example["sampler"])
        for section, given in example.items():
            assert run[section].items() >= given.items()
