"""Configurations made to do harm: no text of theirs reaches a shell, a tag or a name leads anywhere."""

from __future__ import annotations

import copy
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_workflow import CONFIG, REPOSITORY, SNAKEFILE, environment

from lcsc.config import load_config, read_plain, read_yaml, resolve, step_settings
from lcsc.errors import InputError
from lcsc.files import canonical_json

NASTY = ("$(touch X)", "; touch X", "`touch X`", "'; touch X; '", '"; touch X; "', "a\ntouch X\n", "{x}", "../../X")


WORDS = (*NASTY, "{run}", "{word}", "$(touch X) ; touch X ` 'q' \"d\"")
WITHOUT_BRACES = str.maketrans("{}", "()")


def own_runs(*texts: str) -> dict[str, Any]:
    """A configuration with runs that have one of ``texts`` wherever any text is allowed: paths, patterns, keys, labels,
    arguments, and the titles of figures."""
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    config |= {"runs": {}, "figures": {}}
    for index, text in enumerate(texts):
        path = text.translate(WITHOUT_BRACES)
        own = {"source": "npz", "path": f"in/{path}.npz", "held_out_path": f"in/{path}-2.npz"}
        config["data"][f"own{index}"] = {**own, "images_key": text, "labels_key": text}
        dino = {"kind": "dinov2", "weights": f"in/{path}.pth", "sha256": f"{index:064d}", "architecture": text}
        config["extractors"][f"dino{index}"] = {**dino, "resize": "bicubic-antialias"}
        config["extractors"][f"mlp{index}"] = {**config["extractors"]["mlp"], "data": f"own{index}"}
        config["runs"][f"own{index}"] = own_run(index, text, path)
        figure = {"kind": "methods", "title": text, "runs": [f"own{index}"], "methods": ["last"]}
        config["figures"][f"own{index}"] = {**figure, "labels": {"last": text}}
    config["defaults"]["fine_tune"] = None
    return config


def own_run(index: int, text: str, path: str) -> dict[str, Any]:
    """One of these runs."""
    checkpoints = {"folder": f"in/{path}", "pattern": text, "state_key": text, "track": text, "python_path": [text]}
    network = {"factory": "no.such:thing", "args": {text: text}, "python_path": [text], "image_shape": [1, 8, 8]}
    network |= {"label_argument": text, "classes": 10}
    extractors = {"search": f"dino{index}", "held_out": f"mlp{index}"}
    return {"checkpoints": checkpoints, "network": network, "extractors": extractors, "data": f"own{index}"}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where text stands in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, str):
            yield (*at, key)
        yield from places(item, (*at, key))


@pytest.mark.parametrize("text", NASTY)
def test_text_at_every_place_is_refused_or_only_text(text: str) -> None:
    for place in places(CONFIG):
        config: Any = copy.deepcopy(CONFIG)
        inner = config
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = text
        with pytest.raises(InputError) as caught:
            resolve(config)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [*NASTY, "..", "a/b", "", ".a", "-x", "a b", "a\n"])
def test_names_stand_in_paths_and_are_plain(text: str) -> None:
    for section in ("data", "extractors", "runs"):
        config: Any = copy.deepcopy(CONFIG)
        config[section][text] = next(iter(config[section].values()))
        with pytest.raises(InputError, match="name"):
            resolve(config)
    config = copy.deepcopy(CONFIG)
    config["defaults"]["searches"][text] = config["defaults"]["searches"]["evolution"]
    with pytest.raises(InputError, match="name"):
        resolve(config)


@pytest.mark.parametrize("key", ["gres", "slurm_partition", "constraint", "mem_mb_per_cpu", "gpu", "tasks", "tmpdir"])
@pytest.mark.parametrize("text", [*NASTY, "a b", "a\n", "", "--x", "a/b"])
def test_resources_are_plain_since_executors_paste_them_into_a_shell(key: str, text: str) -> None:
    """Slurm's plugin puts some unquoted into a command for a shell."""
    said = rf"gpu_resources\.{key}: found .*, expected .*(letters|whole number)"
    with pytest.raises(InputError, match=said) as caught:
        resolve({**CONFIG, "gpu_resources": {key: text}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["mem_mb_per_cpu", "gpu", "tasks_per_gpu", "cpus_per_gpu", "nodes"])
def test_amounts_of_resources_are_whole_numbers(key: str) -> None:
    with pytest.raises(InputError, match=rf"gpu_resources\.{key}: found \"1a\", expected a whole number"):
        resolve({**CONFIG, "gpu_resources": {key: "1a"}})
    assert resolve({**CONFIG, "gpu_resources": {key: 4}})["gpu_resources"] == {key: 4}


@pytest.mark.parametrize("value", [1, "--exclusive", "--x; touch X"])
def test_slurm_extra_belongs_into_the_profile(value: object) -> None:
    with pytest.raises(InputError, match=r"'slurm_extra', expected .* no slurm_extra; put it into the profile"):
        resolve({**CONFIG, "gpu_resources": {"slurm_extra": value}})


def commands_in(said: str) -> list[str]:
    """The commands for a shell that Snakemake printed, each with all its lines."""
    found = []
    for part in said.split("Shell command: ")[1:]:
        lines = part.splitlines(keepends=True)
        for count in range(1, len(lines) + 1):
            try:
                shlex.split(command := "".join(lines[:count]).rstrip("\n"))
            except ValueError:  # a quoted word goes on in the next line
                continue
            found.append(command)
            break
    return found


def make_own_inputs(folder: Path, texts: Sequence[str]) -> None:
    for text in texts:
        path = folder / "in" / text.translate(WITHOUT_BRACES)
        path.mkdir(parents=True, exist_ok=True)
        for name in (f"{path}.npz", f"{path}-2.npz", f"{path}.pth"):
            Path(name).write_bytes(b"")


def test_text_reaches_commands_as_it_is_and_no_shell(tmp_path: Path) -> None:
    """Snakemake prints the commands that it would run: in each, our text is one word, as the shell would read it, and
    neither the shell nor Snakemake's wildcards change it."""
    folder, config = tmp_path / "work", own_runs(*WORDS)
    make_own_inputs(folder, WORDS)
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = ["--snakefile", str(SNAKEFILE), "--directory", str(folder), "--cores", "1", "--dry-run", "-p"]
    arguments += ["--quiet", "host", "--configfile", str(folder / "config.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--", "all", "figures"],
        env=environment(), capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    commands = [command for command in commands_in(done.stdout + done.stderr) if command.startswith("lcsc ")]
    assert {command.split()[1] for command in commands} >= {"data", "collect", "extractor", "search", "report"}
    # What /bin/bash makes of them, with `lcsc` a function that prints its arguments, is what was meant.
    shell = "lcsc() { printf '%s\\0' \"$@\" END; }\n" + "\n".join(commands)
    said = subprocess.run(["bash"], input=shell, capture_output=True, text=True, cwd=folder, check=True)
    found = [words.split("\0")[:-1] for words in said.stdout.split("END\0")[:-1]]
    assert found == [shlex.split(command)[1:] for command in commands]
    settings = [words[words.index("--settings") + 1] for words in found if "--settings" in words]
    assert not expected_settings(config).difference(settings)
    folders = [words[words.index("--folder") + 1] for words in found if words[0] == "collect"]
    assert sorted(folders) == sorted(run["checkpoints"]["folder"] for run in config["runs"].values())
    assert not [path for path in (folder, REPOSITORY) if (path / "X").exists()]


def expected_settings(config: Mapping[str, Any]) -> set[str]:
    """What each step of every run is to be given."""
    full = resolve(config)
    runs = [(run, step, None) for run in full["runs"] for step in ("collect", "baselines", "evaluate", "report")]
    runs += [
        (run, step, name) for run in full["runs"] for step in ("search", "select") for name in ("evolution", "tensor")
    ]
    found = [step_settings(full, run, step, name=name) for run, step, name in runs]
    found += [step_settings(full, None, "data", name=name) for name in full["data"] if name != "digits"]
    found += [step_settings(full, None, "figures")]
    return {canonical_json(settings) for settings in found}


def test_paths_have_no_braces_since_snakemake_takes_them_for_wildcards() -> None:
    config = own_runs("plain")
    run = config["runs"]["own0"]["checkpoints"]
    places = {"data.own0.path": config["data"]["own0"], "data.own0.held_out_path": config["data"]["own0"]}
    places |= {"extractors.dino0.weights": config["extractors"]["dino0"], "runs.own0.checkpoints.folder": run}
    for place, section in places.items():
        key, before = place.rpartition(".")[2], dict(section)
        section[key] = "in/{run}"
        with pytest.raises(
            InputError, match=rf'{re.escape(place)}: found "in/\{{run}}", expected a path without braces'
        ):
            resolve(config)
        section.update(before)
    assert resolve(config)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: !!python/object/apply:os.system ['touch X']\n", "could not determine a constructor"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("!!python/object/new:os.system ['touch X']\n", "could not determine a constructor"),
        (BOMB, "aliases that stand for more than 100,000 values"),
        ("a: &a [*a]\n", "contains itself"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\n", "sections within sections"),
    ],
)
def test_tags_and_bombs_in_yaml_are_refused(tmp_path: Path, text: str, part: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=part) as caught:
        load_config("config.yaml")
    assert "\n" not in str(caught.value)
    assert [path.name for path in Path().iterdir()] == ["config.yaml"]


PROGRAM = "__use_yte__: true\n?__import__('pathlib').Path('X').touch() or True:\n  threads: 1\n"


@pytest.mark.parametrize(("given", "ran"), [([], False), (["--configfile", "config/config.yaml"], True)])
def test_a_configuration_that_snakemake_would_evaluate_is_refused(tmp_path: Path, given: list[str], ran: bool) -> None:
    """Before its code runs where the workflow itself names the file, and else, as docs/security.md says, afterwards."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(PROGRAM, encoding="utf-8")
    arguments = ["--snakefile", str(SNAKEFILE), "--cores", "1", "--dry-run", *given]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        env=environment(), capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == InputError.exit_code
    assert "error: config/config.yaml: __use_yte__: found this key" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "X").exists() == ran


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_program_is_refused_by_our_own_reader(tmp_path: Path, value: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(PROGRAM.replace("true", value), encoding="utf-8")
    for read in (read_plain, load_config):
        with pytest.raises(InputError, match="__use_yte__"):
            read("config.yaml")
    assert not Path("X").exists()


def test_aliases_of_a_usual_kind_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: &a {x: 1}\nb: [*a, *a]\n", encoding="utf-8")
    assert read_yaml(tmp_path / "config.yaml") == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}
