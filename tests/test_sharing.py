"""Runs that share a training: what they take from it, and what is refused."""

import copy

import pytest
from small_workflow import CONFIG

from lcsc.config import resolve, step_settings
from lcsc.errors import InputError


def shared(**other):
    """A configuration whose second run shares the first one's training, with ``other`` keys of its own."""
    config = copy.deepcopy(CONFIG)
    config["runs"]["two"] = {"training_of": "tiny", "sampler": {"kind": "consistency", "sigmas": [80.0, 2.0]}, **other}
    return config


def test_the_training_is_the_same_and_what_measures_it_may_differ():
    found = resolve(shared())
    one, two = (found["runs"][name] for name in ("tiny", "two"))
    assert one["train"] == two["train"]
    assert step_settings(found, "tiny", "train") == step_settings(found, "two", "train")
    assert step_settings(found, "tiny", "baselines") != step_settings(found, "two", "baselines")
    assert resolve(found) == found


def test_a_run_that_shares_drops_the_training_of_the_defaults():
    config = shared()
    config["runs"]["tiny"] = {"train": {**config["defaults"]["train"], "seed": 5}}
    assert resolve(config)["runs"]["two"]["train"]["seed"] == 5


def test_a_window_takes_some_of_the_checkpoints():
    found = resolve(shared(window={"from_step": 30, "every": 4}))
    assert step_settings(found, "two", "collect") == step_settings(found, "tiny", "collect") | {"from_step": 30, "every": 4}  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"training_of": "three"}, "training_of: found 'three', expected a run with a 'train' of its own: tiny"),
        ({"training_of": "two"}, "runs.two.training_of: found 'two'"),
        ({"preconditioning": {"sigma_data": 0.4}}, "found 'tiny', whose preconditioning is another"),
        ({"train": {"steps": 44, "save_from": 22, "save_every": 2}}, "found 'tiny', whose train is another"),
        ({"checkpoints": {"folder": "mine"}}, "training_of: found 'checkpoints' beside it"),
        ({"window": {"from_step": 30, "to_step": 30}}, "window.from_step: found 30, expected a step below to_step"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_refused(other, words):
    with pytest.raises(InputError) as refused:
        resolve(shared(**other))
    assert words in str(refused.value)


def test_a_run_that_shares_cannot_be_shared_again():
    config = shared()
    config["runs"]["three"] = {"training_of": "two"}
    with pytest.raises(InputError, match="'two', expected a run with a 'train' of its own: tiny"):
        resolve(config)


def test_taking_over_needs_a_search_to_take_over():
    searches = {"tensor": None, "evolution": None, "over": {"method": "transfer", "warm_start": None}}
    with pytest.raises(InputError, match=r"searches\.over\.warm_start: found null"):
        resolve(shared(searches=searches))
