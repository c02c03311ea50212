"""The configuration: what is refused and how, what is filled in, and what fixes each step's result."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_workflow import CONFIG

from lcsc import layout
from lcsc.cli.settings import _require
from lcsc.config import STEPS, data_id, extractor_id, further_searched, load_config, resolve, rounds, step_settings
from lcsc.errors import InputError
from lcsc.files import canonical_json, hash_of

Config = dict[str, Any]


def changed(*keys: Any, to: Any) -> Config:
    """The small configuration with one value replaced; the first key may be a dotted path."""
    config = copy.deepcopy(CONFIG)
    *path, last = [*keys[0].split("."), *keys[1:]]
    section = config
    for key in path:
        section = section.setdefault(key, {})
    section[last] = to
    return config


def without(path: str) -> Config:
    """The small configuration without one key."""
    config = copy.deepcopy(CONFIG)
    *above, last = path.split(".")
    section = config
    for key in above:
        section = section[key]
    del section[last]
    return config


def refusal(config: Config) -> str:
    with pytest.raises(InputError) as caught:
        resolve(config, source="my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("my.yaml: ")
    return message


def own(**entry: Any) -> Config:
    """The small configuration with images of the user's own."""
    return changed("data.digits", to={"source": "folder", "path": "x", **entry})


SEARCH = "defaults.searches.evolution"
OTHER = {"digits": {"source": "digits", "held_out": 600}, "other": {"source": "digits", "held_out": 500}}


def with_joint(given: Config | None = None, mlp: Config | None = None, data: Config | None = None) -> Config:
    """The small configuration whose evolution has an extractor with pixels of its own."""
    config = changed(f"{SEARCH}.extractor", to="joint")
    cnn = config["extractors"]["cnn"]
    config["extractors"]["joint"] = {**cnn, "pixels": {"share": 0.2}, **(given or {})}
    config["extractors"]["mlp"] |= mlp or {}
    config["data"] = data or config["data"]
    return config


GENERATOR = {"factory": "mine:Latents", "image_shape": [1, 8, 8]}


def with_generator(**given: Any) -> Config:
    """The small configuration with a generator and checkpoints of one's own."""
    return changed("runs.tiny", to={"generator": {**GENERATOR, **given}, "checkpoints": {"folder": "x"}})


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (changed("defaults.network.diffusers", to="x"), ["defaults.network.diffusers: found 'factory' beside it"]),
        (
            changed("defaults.network.label_form", to="one-hot"),
            ["network.label_form: found 'one-hot' without classes, expected 'classes' beside it"],
        ),
        (changed("defaults.network.classes", to=10), ["network.classes: found 'train' beside it", "unconditional"]),
        (changed("defaults.network.classes", to=0), ["network.classes: found 0", "at least 1"]),
        (changed("defaults.network.autocast", to="float64"), ["autocast", "one of bfloat16, float16, null"]),
        (
            changed("defaults.network.autocast", to="float16"),
            ["network.autocast: found 'float16' with gradients (searches.tensor), expected 'bfloat16' or null"],
        ),
        (without("defaults.network"), ["runs.tiny.network: found nothing, expected 'network' or 'generator'"]),
        (changed("defaults.generator", to=GENERATOR), ["defaults.generator: found 'network' beside it"]),
        (changed("runs.tiny.generator", to=GENERATOR), ["runs.tiny.generator: found 'train' beside it"]),
        (changed("runs.tiny.generator", to={"factory": "x"}), ['generator.factory: found "x"']),
        (with_generator(image_shape=[1, 4, 4]), ["generator.image_shape: found [1, 4, 4], expected [1, 8, 8]"]),
        (without("defaults.network.factory"), ["network.factory: found nothing, expected 'factory' or 'diffusers'"]),
        (changed("device", to="gpu"), ['device: found "gpu"', "one of auto, cpu, cuda"]),
        (changed("threads", to=0), ["threads: found 0", "a whole number of at least 1"]),
        (changed("threads", to=True), ["threads: found true", "a whole number"]),
        (changed("defaults.train.steps", to="many"), ['defaults.train.steps: found "many"', "whole number"]),
        (changed("defaults.train.steps", to=2.0), ["defaults.train.steps: found 2.0", "whole number"]),
        (changed("runs.tiny", to={"train": {"stepz": 3}}), ["runs.tiny.train.stepz", "unknown", "'steps'"]),
        (changed("defaults.fine_tune.adam.start", to="x"), ['start: found "x"', "best-average, or a name in"]),
        (changed("defaults.fine_tune.adam.rates", to=[0]), ["fine_tune.adam.rates[0]: found 0", "above 0"]),
        (changed("defaults.fine_tune.adam.span", to={"groups": "layer"}), ['span.groups: found "layer"', "tensor"]),
        (changed("defaults.fine_tune.adam.span", to={"learning_rate": 0}), ["span.learning_rate: found 0", "above 0"]),
        (changed("defaults.searches", to={"tuned-span": {}}), ["searches.tuned-span", "another name"]),
        (
            changed(SEARCH, to={"method": "gradient", "optimiser": "adam", "gradients": 80, "generations": 61}),
            ["generations: found 61", "at least 81"],
        ),
        (
            changed(SEARCH, to={"method": "gradient", "noise": "fresh"}),
            ["noise: found 'fresh' with lbfgs, expected 'fixed'"],
        ),
        (
            changed(SEARCH, to={"method": "gradient", "axes": "principal", "bound": 2.0}),
            ["bound: found 2.0 with principal axes, expected null"],
        ),
        (changed(SEARCH, to={"method": "greedy-soup", "generations": 3}), ["generations: found 3", "at least 10"]),
        (
            changed(f"{SEARCH}.warm_start", to={"search": "later"}),
            ["warm_start.search: found 'later', expected a search of the run 'tiny'"],
        ),
        (
            changed(f"{SEARCH}.warm_start", to={"search": "evolution"}),
            ["warm_start: found a start that leads back to 'evolution'"],
        ),
        (changed(f"{SEARCH}.warm_start", to={"run": "other", "search": "x"}), ["warm_start.run: found 'other'"]),
        (changed("defaults.fine_tune.adam.images", to=1), ["fine_tune.adam.images: found 1", "at least 2 or null"]),
        (changed("colour", to=1), ["colour: found an unknown key", "nearest known key is"]),
        (changed("runs", to={}), ["runs: found an empty section", "at least one"]),
        (changed("runs.tiny", to=None), ["runs.tiny: found nothing (null), expected a section"]),
        (changed("runs.a b", to={}), ["runs: found the name 'a b'"]),
        (changed("runs", "..", to={}), ["runs: found the name '..'"]),
        (changed("runs.shared", to={}), ["runs.shared", "another name"]),
        (changed("runs", 7, to={}), ["runs.7: found a key that YAML reads as int", "quotes"]),
        (without("defaults.train.steps"), ["runs.tiny.train.steps: found nothing", "add this key"]),
        (without("defaults.train"), ["runs.tiny.train: found nothing", "'train', 'training_of' or 'checkpoints'"]),
        (without("data"), ["data: found nothing"]),
        (changed("defaults.checkpoints", to={"folder": "x"}), ["defaults.train", "'checkpoints' beside it"]),
        (changed("defaults.train.learning_rate", to="1e-3"), ['found "1e-3"', "write 0.001 in the file"]),
        (changed("defaults.train.learning_rate", to=-0.1), ["learning_rate: found -0.1", "above 0"]),
        (changed("defaults.train.learning_rate", to=float("nan")), ["learning_rate: found NaN"]),
        (changed("defaults.train.ema_rates", to=[0.9, 1.0]), ["ema_rates[1]: found 1.0", "between 0 and 1"]),
        (changed("defaults.train.ema_rates", to=[-0.1]), ["ema_rates[0]: found -0.1", "between 0 and 1"]),
        (changed("defaults.train.power_ema", to=[0.1, 0.3]), ["power_ema[1]: found 0.3", "at most 0.28"]),
        (changed("defaults.train.power_ema", to=[0.1, 0.1]), ["power_ema: found [0.1, 0.1]"]),
        (changed("defaults.train.continue", to=-1), ["continue: found -1", "at least 0"]),
        (changed("defaults.baselines.windows", to=[1]), ["windows[0]: found 1", "at least 2"]),
        (changed("defaults.baselines.post_hoc", to=[0.0]), ["post_hoc[0]: found 0.0", "above 0"]),
        (changed("defaults.searches", to={"window": {}}), ["searches.window", "another name"]),
        (changed("defaults.train.save_from", to=41), ["defaults.train.save_from: found 41", "last (40)"]),
        (changed("defaults.train.save_every", to=30), ["save_every: found 30", "at least two checkpoints"]),
        (changed("defaults.train.scales", to=[80, 10]), ["scales: found [80, 10]", "smaller number first"]),
        (changed("defaults.evaluation.search.images", to=1), ["search.images: found 1", "at least 2"]),
        (changed("defaults.sampler", to={"sigmas": [1.0, 2.0]}), ["sigmas[1]: found 2.0 after 1.0"]),
        (changed("defaults.sampler", to={"sigmas": [0.002]}), ["sigmas[0]: found 0.002", "above sigma_min (0.002)"]),
        (changed("defaults.preconditioning.kind", to="edm"), ["found 'edm'", "'consistency' as sampler consistency"]),
        (changed("defaults.network.image_shape", to=[3, 8, 8]), ["image_shape: found [3, 8, 8]", "[1, 8, 8]"]),
        (changed("extractors.mlp.architecture", to="cnn"), ["held_out: found 'mlp' of the architecture", "another"]),
        (changed("defaults.sampler", to={"kind": "euler", "sigmas": [80.0]}), ["sampler.sigmas: found an unknown key"]),
        (changed("defaults.sampler", to={"kind": "eular"}), ['sampler.kind: found "eular"', "euler, heun"]),
        (changed(f"{SEARCH}.method", to="gradient"), ["population: found a key of evolution, cma-es, random"]),
        (changed(f"{SEARCH}.finalist", to=3), ["finalist: found an unknown key", "known key is 'finalists'"]),
        (changed("defaults.sampler", to={"sigmas": [81.0]}), ["sigmas[0]: found 81.0", "sigma_max (80.0)"]),
        (changed("defaults.preconditioning", to={"sigma_min": 90.0}), ["sigma_min: found 90.0", "below"]),
        (changed("defaults.data", to="faces"), ['defaults.data: found "faces"', "a name in 'data': digits"]),
        (changed("defaults.extractors.search", to="cnm"), ['extractors.search: found "cnm"', "cnn, mlp"]),
        (changed("defaults.extractors.held_out", to="cnn"), ["held_out: found 'cnn' twice"]),
        (changed("extractors.cnn.data", to="faces"), ['extractors.cnn.data: found "faces"']),
        ({**changed("defaults.data", to="other"), "data": OTHER}, ["'cnn', trained on 'digits'", "'other'"]),
        (changed(f"{SEARCH}.extractor", to="cnm"), ['evolution.extractor: found "cnm"', "a name in 'extractors'"]),
        (changed(f"{SEARCH}.extractor", to="mlp"), ["evolution.extractor: found 'mlp'", "extractors.held_out"]),
        (changed("defaults.fine_tune.adam.extractor", to="mlp"), ["fine_tune.adam.extractor: found 'mlp'"]),
        (with_joint({"architecture": "mlp"}), ["'joint' of the architecture", "held_out, 'mlp', has"]),
        (with_joint(mlp={"pixels": {}}), ["evolution.extractor: found 'joint' with pixels", "'mlp', has"]),
        (with_joint({"data": "other"}, data=OTHER), ["evolution.extractor: found 'joint', trained on 'other'"]),
        (with_joint({"pixels": {"share": 1}}), ["joint.pixels.share: found 1", "between 0 and 1, both excluded"]),
        (changed("data.digits.held_out", to=1790), ["data.digits.held_out: found 1790", "10 to 1787"]),
        (changed("data.digits.size", to=9), ["data.digits.size: found 9", "at most 8"]),
        (changed("data.digits.size", to=4), ["image_shape: found [1, 8, 8]", "[1, 4, 4] as the images of 'digits'"]),
        (
            changed("data.digits", to={"source": "mnist", "held_out": 4995}),
            ["data.digits.held_out: found 4995", "10 to 4990"],
        ),
        (
            changed("data.digits", to={"source": "mnist", "held_out": 500}),
            ["image_shape: found [1, 8, 8], expected [1, 28, 28]"],
        ),
        (without("data.digits.held_out"), ["data.digits.held_out: found nothing", "held_out_path"]),
        (changed("data.digits.held_out", to="train"), ['held_out: found "train"', "of at least 2 or `test` or null"]),
        (changed("data.digits.held_out", to="test"), ['held_out: found "test"', "a number with source digits"]),
        (changed("data.digits.labels_key", to="y"), ['labels_key: found "y"', "null with source digits"]),
        (own(held_out=9, held_out_path="y"), ["held_out: found 9", "null beside held_out_path"]),
        (own(held_out_path="x"), ["held_out_path: found the training images' path"]),
        (own(source="cifar10", held_out_path="y"), ["held_out_path", "held_out: test"]),
        (own(source="cifar10", held_out="test", size=40), ["size: found 40", "at most 32"]),
        (own(source="cifar10", held_out="test"), ["image_shape: found [1, 8, 8], expected [3, 32, 32]"]),
        (changed("data.digits.path", to="x.npz"), ["data.digits.path", "source: npz"]),
        (changed("data.digits.source", to="npz"), ["data.digits.path: found nothing"]),
        (changed(f"{SEARCH}.population", to=1), ["population: found 1", "at least 2"]),
        (changed(f"{SEARCH}.parents", to=7), ["parents: found 7", "at most the population (6)"]),
        (changed(f"{SEARCH}.parents", to=1), ["parents: found 1", "crossover"]),
        (changed(f"{SEARCH}.finalists", to=19), ["finalists: found 19", "candidates scored (18)"]),
        (changed(f"{SEARCH}.mutation_scale", to=[1.0, 0.1]), ["mutation_scale", "smaller number first"]),
        (changed("defaults.searches", to={"ema": {}}), ["searches.ema", "another name"]),
        (changed("runs.tiny", to={"checkpoints": {"folder": "x", "pattern": ""}}), ['pattern: found ""']),
        (changed("runs.tiny", to={"checkpoints": {"folder": "x", "count": 1}}), ["count: found 1", "at least 2"]),
        (
            changed("runs.tiny", to={"checkpoints": {"folder": "x", "from_step": 9, "to_step": 9}}),
            ["runs.tiny.checkpoints.from_step: found 9", "below to_step (9)"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(config: Config, parts: list[str]) -> None:
    message = refusal(config)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("device: cpu\ndevice: auto\n", "line 2: the key 'device' stands twice"),
        ("runs:\n  a: {train: {seed: 1, seed: 2}}\n", "line 2: the key 'seed' stands twice"),
        ("device: !!python/object/apply:os.system [ls]\n", "line 1: could not determine a constructor"),
        ("runs: [a\n", "line 2"),
        ("", "found nothing, expected a YAML mapping"),
        ("- a\n", "found list, expected a YAML mapping"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(part)) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        load_config(tmp_path / "none.yaml")


def test_resolving_twice_changes_nothing() -> None:
    once = resolve(CONFIG)
    assert resolve(once) == once
    assert "defaults" not in once
    json.dumps(once, allow_nan=False)


def test_the_given_configuration_is_left_alone() -> None:
    before = copy.deepcopy(CONFIG)
    resolve(CONFIG)["runs"]["tiny"]["network"]["args"]["width"] = 1
    assert before == CONFIG


def test_schema_defaults_are_filled_in() -> None:
    run = resolve(CONFIG)["runs"]["tiny"]
    assert run["sampler"] == {"kind": "consistency", "sigmas": [80.0]}
    assert run["train"]["recipe"] == "consistency"
    assert run["evaluation"]["candidates_per_block"] == 5


def test_whole_numbers_are_the_same_setting_as_floats() -> None:
    whole = changed("defaults.preconditioning", to={"sigma_max": 80, "sigma_min": 0.002})
    assert canonical_json(resolve(whole)) == canonical_json(resolve(CONFIG))


def test_a_run_wins_over_the_defaults_key_by_key() -> None:
    config = changed("runs.tiny", to={"train": {"seed": 5}, "baselines": {"ema_shaped": [0.5]}})
    run = resolve(config)["runs"]["tiny"]
    assert run["train"]["seed"] == 5
    assert run["train"]["steps"] == 40
    assert run["baselines"]["ema_shaped"] == [0.5]


def test_searches_merge_by_name_and_null_removes_one() -> None:
    short = {"generations": 2}
    config = changed("runs.tiny", to={"searches": {"evolution": None, "tensor": None, "short": short}})
    assert list(resolve(config)["runs"]["tiny"]["searches"]) == ["short"]
    both = resolve(changed("runs.tiny", to={"searches": {"short": short, "evolution": {"seed": 3}}}))
    searches = both["runs"]["tiny"]["searches"]
    assert set(searches) == {"evolution", "short", "tensor"}
    assert searches["evolution"]["seed"] == 3
    assert searches["evolution"]["population"] == 6


def test_another_factory_takes_none_of_the_default_ones_arguments() -> None:
    network = {"factory": "mine:make", "args": {"depth": 3}, "image_shape": [1, 8, 8]}
    assert resolve(changed("runs.tiny", to={"network": network}))["runs"]["tiny"]["network"] == network
    network = {"diffusers": "unet", "args": {}, "image_shape": [1, 8, 8]}
    assert resolve(changed("runs.tiny", to={"network": network}))["runs"]["tiny"]["network"] == network


def test_a_generator_replaces_network_parameterisation_and_sampler() -> None:
    resolved = resolve(with_generator(python_path=["code"]))
    assert "network" not in resolved["runs"]["tiny"]
    settings = step_settings(resolved, "tiny", "baselines")
    assert settings["generator"] == {**GENERATOR, "args": {}, "python_path": ["code"]}
    assert not {"network", "preconditioning", "sampler"} & settings.keys()
    _require(settings, "baselines")
    back = changed("runs.tiny", to={"network": {"factory": "a:b", "image_shape": [1, 8, 8]}})
    back["defaults"] = {**back["defaults"], "generator": GENERATOR}
    del back["defaults"]["network"]
    assert "generator" not in resolve(back)["runs"]["tiny"]


def test_autocast_is_of_samples_alone_and_null_is_none() -> None:
    plain = resolve(CONFIG)
    config = changed("defaults.network.autocast", to="bfloat16")
    fast, null = resolve(config), resolve(changed("defaults.network.autocast", to=None))
    for step in ("train", "continue", "baselines"):
        found, other, none = (step_settings(each, "tiny", step) for each in (plain, fast, null))
        assert found == none
        assert (found == other) == (step != "baselines")


def test_checkpoints_of_ones_own_replace_the_default_training() -> None:
    run = resolve(changed("runs.tiny", to={"checkpoints": {"folder": "mine", "pattern": "*.pt"}}))["runs"]["tiny"]
    assert "train" not in run
    assert run["checkpoints"]["state_key"] is None


def settings(config: Config, step: str) -> Config:
    names = {"search": "evolution", "select": "evolution", "trace": "evolution", "data": "digits", "tune": "adam"}
    names["landscape"] = "raw"
    config = copy.deepcopy(config)
    config["defaults"]["landscapes"] = {"raw": {"steps": [22, 30, 40]}}
    return step_settings(resolve(config), "tiny", step, name=names.get(step, "cnn"))


@pytest.mark.parametrize(
    ("config", "touched"),
    [
        (changed("device", to="cuda"), set()),
        (changed(f"{SEARCH}.generations", to=9), set()),
        (changed(f"{SEARCH}.generations_per_round", to=9), set()),
        (changed(f"{SEARCH}.finalists", to=2), {"select"}),
        (changed(f"{SEARCH}.seed", to=2), {"search"}),
        (changed("defaults.train.seed", to=2), {"train", "continue"}),
        (changed("defaults.train.continue", to=9), {"continue"}),
        (changed("defaults.train.power_ema", to=[0.07]), {"train", "continue"}),
        (changed("defaults.baselines.windows", to=[2]), {"baselines"}),
        (changed("defaults.baselines.post_hoc", to=[0.1]), {"baselines"}),
        (changed("defaults.baselines.ema_shaped", to=[0.7]), {"baselines"}),
        (changed("defaults.evaluation.search.images", to=99), {"search", "tune", "trace"}),
        (changed("defaults.evaluation.trace.points", to=5), {"trace"}),
        (changed("defaults.evaluation.trace.images", to=99), {"trace"}),
        (changed("defaults.fine_tune.adam.rates", to=[0.1]), {"tune"}),
        (changed("defaults.fine_tune.adam.span", to={"groups": "block"}), {"tune"}),
        (changed("defaults.evaluation.selection.images", to=99), {"baselines", "select"}),
        (changed("defaults.evaluation.report.blocks", to=9), {"evaluate"}),
        (
            changed("defaults.evaluation.seed", to=9),
            {"baselines", "search", "tune", "select", "evaluate", "trace", "landscape"},
        ),
        (
            changed("extractors.cnn.seed", to=9),
            {"extractor", "reference", "baselines", "search", "tune", "select", "evaluate", "trace", "landscape"},
        ),
        (
            changed("data.digits.seed", to=9),
            {
                "data",
                "extractor",
                "reference",
                "baselines",
                "search",
                "tune",
                "select",
                "evaluate",
                "trace",
                "landscape",
            },
        ),
        (changed("threads", to=2), set(STEPS) - {"data", "collect", "export", "report", "figures"}),
        (
            changed("defaults.network.args.width", to=8),
            {"train", "continue", "baselines", "search", "tune", "select", "evaluate", "trace", "landscape"},
        ),
    ],
)
def test_settings_of_a_step_hold_what_fixes_its_result(config: Config, touched: set[str]) -> None:
    assert {step for step in STEPS if settings(config, step) != settings(CONFIG, step)} == touched


def test_ids_carry_name_and_hash() -> None:
    config = resolve(CONFIG)
    assert re.fullmatch(r"digits-[0-9a-f]{10}", data_id(config, "digits"))
    assert re.fullmatch(r"cnn-[0-9a-f]{10}", extractor_id(config, "cnn"))
    plain = {"source": "digits", "path": None, "held_out": config["data"]["digits"]["held_out"], "seed": 0}
    assert data_id(config, "digits") == f"digits-{hash_of(plain)[:10]}"  # keys that came later have not changed it
    other = resolve(changed("data.digits.seed", to=1))
    assert data_id(other, "digits") != data_id(config, "digits")
    assert extractor_id(other, "cnn") != extractor_id(config, "cnn")
    assert settings(CONFIG, "evaluate")["extractors"]["held_out"] == extractor_id(config, "mlp")


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda config: step_settings(config, "none", "train"), "found 'none', expected one of tiny"),
        (lambda config: step_settings(config, "tiny", "paint"), "found 'paint', expected one of data"),
        (lambda config: step_settings(config, "tiny", "search"), "found no name, expected one of evolution"),
        (lambda config: step_settings(config, None, "data", name="x"), "found 'x', expected one of digits"),
    ],
)
def test_settings_of_what_is_not_there(call: Callable[[Config], Config], part: str) -> None:
    with pytest.raises(InputError, match=re.escape(part)):
        call(resolve(CONFIG))


def test_a_run_of_ones_own_has_no_training_to_set() -> None:
    config = resolve(changed("runs.tiny", to={"checkpoints": {"folder": "mine", "to_step": 9}}))
    with pytest.raises(InputError, match="expected a training"):
        step_settings(config, "tiny", "train")
    assert step_settings(config, "tiny", "collect")["to_step"] == 9


def test_keys_that_came_later_change_no_older_bank() -> None:
    older = {"pattern": "*.pt", "state_key": None, "from_step": None, "to_step": 9}
    section = {"folder": "mine", "pattern": "*.pt", "to_step": 9}
    collected = step_settings(resolve(changed("runs.tiny", to={"checkpoints": section})), "tiny", "collect")
    assert collected == older
    section |= {"format": "openai", "count": 5}
    collected = step_settings(resolve(changed("runs.tiny", to={"checkpoints": section})), "tiny", "collect")
    assert collected == {**older, "format": "openai", "count": 5}
    trained = {"pattern": "*.safetensors", "state_key": None, "from_step": None, "to_step": None}
    assert step_settings(resolve(CONFIG), "tiny", "collect") == trained


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_full_rounds_do_not_depend_on_the_total(size: int, total: int, more: int) -> None:
    def of(generations: int) -> list[tuple[int, int]]:
        return rounds({"generations": generations, "generations_per_round": size})

    assert [first + i for first, count in of(total) for i in range(count)] == list(range(total))
    full = [entry for entry in of(total) if entry[1] == size]
    assert of(total + more)[: len(full)] == full


def test_a_section_of_another_kind_replaces_the_default_one_that_does_not_name_its_kind() -> None:
    """The small configuration's evolution does not say `method`, nor its sampler `kind`: those are the defaults."""
    searches = {"evolution": {"method": "gradient", "generations": 3}}
    config = changed("runs.tiny", to={"searches": searches})
    found = resolve(config)["runs"]["tiny"]["searches"]["evolution"]
    assert found["groups"] == "all"
    assert "population" not in found
    config = changed("defaults.sampler", to={"sigmas": [80.0]})
    config["runs"]["tiny"] = {"sampler": {"kind": "euler", "steps": 3}, "preconditioning": {"kind": "edm"}}
    assert "'edm', expected 'consistency' as recipe" in refusal(config)


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"groups": "tensors"}, 'searches.tensor.groups: found "tensors", expected all, block, tensor or tensor/N'),
        ({"bound": -1}, "searches.tensor.bound: found -1, expected a number above 0 or null"),
        ({"popluation": 3}, "searches.tensor.popluation: found an unknown key"),
        ({"method": ["gradient"]}, "searches.tensor.method: found"),
    ],
)
def test_a_search_laid_over_another_is_judged_by_its_kind(entry: Config, part: str) -> None:
    assert part in refusal(changed("runs.tiny", to={"searches": {"tensor": entry}}))


def test_a_search_may_have_an_extractor_of_its_own_and_is_chosen_by_that_of_the_run() -> None:
    config = resolve(with_joint())
    own, cnn = (extractor_id(config, name) for name in ("joint", "cnn"))
    assert settings(with_joint(), "search")["extractor"] == own
    assert {settings(with_joint(), step)["extractor"] for step in ("select", "baselines", "tune")} == {cnn}
    assert settings(with_joint(), "evaluate")["searched"] == [own]
    assert further_searched(config["runs"]["tiny"]) == ["joint"]
    path = layout.reference_path(config, "tiny", "joint", "train", "r")
    assert path == f"r/shared/references/{data_id(config, 'digits')}.train.{own}.h5"


def test_another_extractor_of_one_search_touches_that_search_alone() -> None:
    changed_steps = {step for step in STEPS if settings(with_joint(), step) != settings(CONFIG, step)}
    assert changed_steps == {"search", "evaluate"}
    touched = with_joint({"pixels": {"share": 0.3}})
    assert {step for step in STEPS if settings(touched, step) != settings(with_joint(), step)} == {"search", "evaluate"}


def test_an_extractor_without_pixels_is_the_one_it_was_before_there_were_any() -> None:
    """Its settings, and so its id and its file, do not name them; nor do those of a search its extractor."""
    assert "pixels" not in settings(CONFIG, "extractor")
    assert "extractor" not in settings(CONFIG, "search")["search"]
    assert "searched" not in settings(CONFIG, "evaluate")
    assert settings(with_joint(), "extractor") == settings(CONFIG, "extractor")
    joint = step_settings(resolve(with_joint()), None, "extractor", name="joint")
    assert joint["pixels"] == {"share": 0.2, "size": 8}


def test_names_that_a_search_may_not_have_are_those_of_the_baselines():
    from lcsc.baselines import FAMILIES
    from lcsc.config.checks import BASELINES

    assert set(BASELINES) == set(FAMILIES)


def with_warm_start(**other):
    """A configuration whose second run starts from the first one's search, with ``other`` keys of the second run."""
    config = copy.deepcopy(CONFIG)
    earlier = {"warm_start": {"run": "tiny", "search": "evolution"}}
    config["runs"]["later"] = {"searches": {"evolution": earlier}, **other}
    return config


def test_a_warm_start_must_not_have_seen_what_judges():
    assert resolve(with_warm_start())["runs"]["later"]["searches"]["evolution"]["warm_start"]["run"] == "tiny"
    swapped = with_warm_start(extractors={"search": "mlp", "held_out": "cnn"}, searches={"evolution": {"warm_start": {"run": "tiny", "search": "evolution"}}})  # fmt: skip # noqa: E501
    assert "warm_start: found 'evolution', which lowered the distance by 'cnn'" in refusal(swapped)


def test_rates_of_averages_suit_checkpoints_of_one_s_own_where_nothing_is_said() -> None:
    config = changed("runs.tiny", to={"checkpoints": {"folder": "runs/mine"}})
    searches = config["defaults"]["searches"]
    searches |= {"soup": {"method": "greedy-soup", "generations": 20}, "plain": {"method": "cma-es"}}
    trained = resolve({**config, "runs": {"tiny": {}}})["runs"]["tiny"]
    own = resolve(config)["runs"]["tiny"]
    assert own["searches"]["plain"]["initial_rates"] is None
    assert own["searches"]["evolution"]["initial_rates"] == searches["evolution"]["initial_rates"]
    assert own["baselines"]["ema_shaped"] == config["defaults"]["baselines"]["ema_shaped"]
    del config["defaults"]["baselines"]
    assert resolve(config)["runs"]["tiny"]["baselines"]["ema_shaped"] is None
    assert None not in (trained["searches"]["plain"]["initial_rates"], trained["baselines"]["ema_shaped"])
