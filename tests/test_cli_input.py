"""What a user can get wrong on the command line: one line on stderr, the right exit code, no traceback."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import save, save_run, weights
from tiny import EXTRACTOR, SCORING, TRAIN, TRAINING

from lcsc.bank import Bank
from lcsc.cli import main
from lcsc.cli.settings import NEEDED, NEEDED_BY, step_settings_of
from lcsc.config import STEPS, load_config, read_yaml, resolve, step_settings
from lcsc.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
SEARCH = {
    "method": "evolution", "seed": 0, "population": 6, "parents": 4, "crossover": 0.5,
    "mutation_scale": [0.01, 0.1], "mutation_share": [0.1, 1.0], "initial_rates": [0.9],
}  # fmt: skip
NAMES = {"data": "digits", "extractor": "cnn", "reference": "cnn", "search": "evolution", "select": "evolution"}
NAMES |= {"tune": "adam", "trace": "evolution", "landscape": "raw"}


def lcsc(*arguments):
    """The exit code of a subcommand."""
    return main([str(argument) for argument in arguments])


def only_line(capsys):
    """What stands on stderr, which must be one line."""
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def measures(run):
    extractor = ["--extractor", run.folder / "cnn.safetensors", "--reference", run.folder / "train.cnn.h5"]
    return ["--bank", run.folder / "bank", *extractor]


def search_settings(**values):
    chosen = {**SCORING, "images": 60, "name": "evolution", "search": SEARCH, **values}
    return ["--settings", json.dumps(chosen), "--device", "cpu", "--quiet"]


def configuration():
    """The default configuration with a fine-tuning and a landscape, which it need not have."""
    given = read_yaml(REPOSITORY / "config" / "config.yaml")
    given["defaults"]["fine_tune"] = {"adam": {}}
    given["defaults"]["landscapes"] = {"raw": {"steps": [1100, 1500, 2000]}}
    return resolve(given)


def holds(settings, key, value):
    """Whether ``settings`` have ``value`` at the dotted ``key``."""
    for part in key.split("."):
        settings = settings.get(part, {})
    return settings == value


@pytest.fixture
def given(tmp_path):
    """A plain file where a folder is expected."""
    path = tmp_path / "given.yaml"
    path.write_text("a: 1\n")
    return path


@pytest.fixture
def checkpoints(tmp_path):
    save_run(tmp_path / "run", [weights(k) for k in range(4)])
    return tmp_path / "run"


class TestPlaces:
    def test_data_below_a_file(self, given, capsys):
        chosen = ["--settings", json.dumps({"source": "digits", "held_out": 300, "seed": 0})]
        assert lcsc("data", *chosen, "--output", given / "d") == 1
        assert f"{given / 'd' / 'train.npz'}: cannot be written (Not a directory)" in only_line(capsys)

    @pytest.mark.parametrize("place", ["/dev/null/bank", "/proc/bank"])
    def test_a_bank_where_none_can_be(self, checkpoints, place, capsys):
        assert lcsc("collect", "--settings", "{}", "--folder", checkpoints, "--output", place) == 1
        assert f"{place}: cannot be written" in only_line(capsys)

    def test_a_search_where_nothing_can_be_written(self, tiny_run, given, tmp_path, capsys):
        common = [*measures(tiny_run), *search_settings(), "--count", 1]
        for place in (given, "/proc/search"):
            assert lcsc("search", *common, "--output", place) == 1
            assert f"{place}/journal: cannot be written" in only_line(capsys)
        assert lcsc("search", *common, "--output", tmp_path / "search", "--timing", "/proc/x.json") == 1
        assert "/proc/x.json: cannot be written" in only_line(capsys)

    def test_a_merged_checkpoint_where_none_can_be(self, tiny_run, tmp_path, capsys):
        from lcsc.export import export_merged

        export_merged(tiny_run.bank, torch.full((1, tiny_run.bank.K), 1.0).numpy(), output=tmp_path / "a.safetensors")
        common = ["--recipe", tmp_path / "a.safetensors", "--bank", tiny_run.folder / "bank"]
        for place in ("/proc/x.safetensors", tmp_path):
            assert lcsc("merge", *common, "--output", place) == 1
            assert f"{place}: cannot be written" in only_line(capsys)


class TestSettings:
    def test_every_step_has_its_needed_keys(self):
        assert NEEDED.keys() == set(STEPS)

    @pytest.mark.parametrize("step", STEPS)
    def test_the_configuration_gives_what_is_needed(self, step):
        chosen = step_settings(configuration(), "digits", step, name=NAMES.get(step))
        assert step_settings_of(options(chosen), step) == chosen

    @pytest.mark.parametrize("step", [step for step in STEPS if NEEDED[step]])
    def test_each_needed_key_is_missed(self, step, capsys):
        chosen = step_settings(configuration(), "digits", step, name=NAMES.get(step))
        further = [key for (known, value), keys in NEEDED_BY.items() if holds(chosen, known, value) for key in keys]
        for key in (*NEEDED[step], *further):
            lacking = json.loads(json.dumps(chosen))
            *path, last = key.split(".")
            section = lacking
            for part in path:
                section = section[part]
            del section[last]
            with pytest.raises(Exception, match=rf"--settings: {key}: not found; step '{step}' needs it") as error:
                step_settings_of(options(lacking), step)
            assert error.value.exit_code == 2

    def test_empty_settings_are_refused_in_one_line(self, tiny_run, tmp_path, capsys):
        common = [*measures(tiny_run), "--settings", "{}", "--count", 1, "--output", tmp_path / "search"]
        assert lcsc("search", *common) == 2
        line = only_line(capsys)
        assert "--settings: threads: not found" in line
        assert not (tmp_path / "search").exists()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"threads": "two"}, "threads: found 'two', expected a whole number"),
            ({"images": True}, "images: found True, expected a whole number"),
            ({"network": "mlp"}, "network: found str, expected an object"),
            ({"search": {"method": "evolution"}}, "search.seed: not found"),
        ],
    )
    def test_other_kinds_of_values_are_refused(self, tiny_run, tmp_path, changed, message, capsys):
        common = [*measures(tiny_run), *search_settings(**changed), "--count", 1, "--output", tmp_path / "search"]
        assert lcsc("search", *common) == 2
        assert f"--settings: {message}" in only_line(capsys)

    @pytest.mark.parametrize(
        ("step", "changed", "message"),
        [
            ("search", {"sede": 1}, "sede: found an unknown key"),
            ("search", {"network": {**SCORING["network"], "widht": 3}}, "network.widht: found an unknown key"),
            ("search", {"search": {**SEARCH, "popluation": 9}}, "search.popluation: found an unknown key"),
            ("search", {"search": {**SEARCH, "racing": {"image": 9}}}, "search.racing.image: found an unknown key"),
            ("search", {"train": TRAIN}, "train: found an unknown key"),
            ("collect", {"fromstep": 3}, "fromstep: found an unknown key"),
            ("data", {"resize": 8}, "resize: found an unknown key"),
            ("extractor", {"pixel": {"share": 0.5, "size": 4}}, "pixel: found an unknown key"),
            ("reference", {"thread": 2}, "thread: found an unknown key"),
            ("report", {"runs": "digits"}, "runs: found an unknown key"),
        ],
    )
    def test_keys_that_nothing_reads_are_named(self, step, changed, message):
        chosen = step_settings(configuration(), "digits", step, name=NAMES.get(step))
        with pytest.raises(InputError) as error:
            step_settings_of(options({**chosen, **changed}), step)
        assert str(error.value).startswith(f"--settings: {message}, expected one of ")
        assert "; the nearest known key is '" in str(error.value)

    @pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.stem)
    def test_no_configuration_gives_a_step_an_unknown_key(self, path):
        config = load_config(path)
        for run, section in config["runs"].items():
            names = {"data": config["data"], "extractor": config["extractors"], "reference": config["extractors"]}
            names |= dict.fromkeys(("search", "select", "trace"), section["searches"])
            names |= {"tune": section["fine_tune"] or {}, "landscape": section["landscapes"]}
            for step in STEPS:
                if "train" in section or step not in ("train", "continue"):
                    for name in names.get(step, [None]):
                        chosen = step_settings(config, run, step, name=name)
                        assert step_settings_of(options(chosen), step) == chosen

    def test_the_settings_of_the_other_tests_are_enough(self):
        for step, chosen in {
            "train": TRAINING,
            "extractor": {**EXTRACTOR, "architecture": "cnn", "seed": 0, "name": "cnn"},
            "search": {**SCORING, "images": 60, "name": "evolution", "search": SEARCH},
        }.items():
            assert step_settings_of(options(chosen), step) == chosen

    def test_a_missing_file_of_settings_is_not_found(self, tmp_path, capsys):
        assert lcsc("data", "--settings", "@nowhere.json", "--output", tmp_path / "d") == 2
        assert "--settings: nowhere.json: not found; expected a JSON object" in only_line(capsys)


def options(chosen):
    """The parsed options of a step that takes ``chosen`` by --settings."""
    from argparse import Namespace

    return Namespace(settings=json.dumps(chosen), config=None, run_name=None, name=None)


@pytest.mark.parametrize(
    ("argument", "value", "least"),
    [("--count", "-3", 1), ("--count", "0", 1), ("--first", "-1", 0), ("--cores", "0", 1), ("--cores", "two", 1)],
)
def test_numbers_out_of_range_are_refused(argument, value, least, capsys):
    common = ["--bank", "b", "--extractor", "x", "--reference", "r", "--output", "o", "--count", "1"]
    with pytest.raises(SystemExit) as ended:
        lcsc("search", *common, argument, value)
    assert ended.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {argument}: found '{value}', expected a whole number, {least} or more" in error


class TestList:
    def test_without_settings_it_takes_the_files_of_the_configurations_default(self, checkpoints, capsys):
        torch.save(weights(0), checkpoints / "step-99.pt")
        assert lcsc("collect", "--list", checkpoints) == 0
        assert "4 checkpoints" in capsys.readouterr().out

    def test_with_settings_it_takes_what_collect_takes(self, checkpoints, tmp_path, capsys):
        chosen = ["--settings", json.dumps({"pattern": "step-*", "from_step": 20, "to_step": 30})]
        assert lcsc("collect", "--list", checkpoints, *chosen) == 0
        listed = capsys.readouterr().out
        assert "2 checkpoints" in listed
        assert lcsc("collect", "--folder", checkpoints, "--output", tmp_path / "bank", *chosen) == 0
        assert "K = 2 checkpoints" in capsys.readouterr().err

    def test_with_a_state_key(self, tmp_path, capsys):
        (tmp_path / "run").mkdir()
        for step in (1, 2):
            torch.save({"model": weights(step)}, tmp_path / "run" / f"step-{step}.pt")
        settings = ["--settings", json.dumps({"pattern": "*.pt", "state_key": "model"})]
        for chosen in (settings, ["--state-key", "model"]):
            assert lcsc("collect", "--list", tmp_path / "run", *chosen) == 0
            assert "5 tensors" in capsys.readouterr().out
        assert lcsc("collect", "--list", tmp_path / "run", *settings, "--state-key", "ema") == 2
        assert "state_key 'ema': found the keys model" in only_line(capsys)

    def test_options_in_place_of_settings(self, tmp_path, capsys):
        for step in (1, 2):
            save(tmp_path / f"a-{step}.safetensors", weights(step))
            save(tmp_path / f"b-{step}.safetensors", weights(step), track="ema_0.9")
        chosen = ["--format", "plain", "--track", "ema_0.9", "--pattern", "?-[12].safetensors"]
        assert lcsc("collect", "--folder", tmp_path, "--output", tmp_path / "bank", "--settings", "{}", *chosen) == 0
        assert Bank.open(tmp_path / "bank").track == "ema_0.9"
        capsys.readouterr()
        assert lcsc("collect", "--list", tmp_path, "--pattern", "c-*") == 2
        assert "found no checkpoints matching 'c-*'" in only_line(capsys)

    def test_a_file_that_does_not_fit(self, checkpoints, capsys):
        save(checkpoints / "step-000020.safetensors", weights(0, {"another": (3,)}), step="20")
        assert lcsc("collect", "--list", checkpoints) == 2
        assert "step-000020.safetensors: tensor" in only_line(capsys)

    def test_with_a_configuration(self, checkpoints, capsys):
        config = ["--config", REPOSITORY / "config" / "config.yaml"]
        assert lcsc("collect", "--list", checkpoints, *config, "--run", "digits") == 0
        assert "4 checkpoints" in capsys.readouterr().out
        assert lcsc("collect", "--list", checkpoints, *config) == 2
        assert "found neither --settings nor --config with --run" in only_line(capsys)

    def test_steps_that_are_no_numbers(self, checkpoints, capsys):
        assert lcsc("collect", "--list", checkpoints, "--settings", '{"from_step": "first"}') == 2
        assert "--settings: from_step: found 'first', expected a whole number" in only_line(capsys)

    def test_its_help_says_what_is_read(self, capsys):
        with pytest.raises(SystemExit):
            lcsc("collect", "--help")
        assert "each read and checked as collecting does" in " ".join(capsys.readouterr().out.split())


class TestMissing:
    def test_an_extractor(self, tiny_run, tmp_path, capsys):
        common = ["--bank", tiny_run.folder / "bank", "--reference", tiny_run.folder / "train.cnn.h5"]
        common += [*search_settings(), "--count", 1, "--output", tmp_path / "search"]
        assert lcsc("search", *common, "--extractor", "nope") == 2
        assert "nope: not found; expected a safetensors file" in only_line(capsys)

    def test_a_reference(self, tiny_run, tmp_path, capsys):
        common = [*measures(tiny_run)[:4], *search_settings(), "--count", 1, "--output", tmp_path / "search"]
        assert lcsc("search", *common, "--reference", "nope.h5") == 2
        assert "nope.h5: not found; expected lcsc reference statistics" in only_line(capsys)

    def test_what_is_not_there_is_not_verified(self, given, capsys):
        assert lcsc("verify", given.parent / "nope") == 2
        assert "nope: not found; expected a file, a bank, or a folder of results" in only_line(capsys)


def test_pickled_code_is_refused_in_one_line_without_warnings(tmp_path):
    """In a process of its own, which shows warnings."""
    for step in (1, 2):
        (tmp_path / f"step-{step}.pt").write_bytes(pickle.dumps({"a": os.getpid}, protocol=4))
    command = [sys.executable, "-W", "always", "-m", "lcsc", "collect", "--folder", str(tmp_path)]
    command += ["--output", str(tmp_path / "bank"), "--settings", '{"pattern": "*.pt"}']
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "('posix.getpid'), which would be executed when read: refused" in done.stderr


def test_messages_of_several_lines_become_one(monkeypatch, capsys):
    from lcsc.errors import InputError

    def broken(options):
        raise InputError("first\nsecond")

    monkeypatch.setattr("lcsc.cli.steps.verify", broken)
    assert lcsc("verify", "x") == 2
    assert "error: first second" in only_line(capsys)
