"""Configurations made to do harm: no text of theirs reaches a shell, a tag or a name leads anywhere."""

from __future__ import annotations

import copy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_workflow import CONFIG, REPOSITORY, SNAKEFILE, environment

from lcsc.config import load_config, read_yaml, resolve
from lcsc.errors import InputError

NASTY = ("$(touch X)", "; touch X", "`touch X`", "'; touch X; '", '"; touch X; "', "a\ntouch X\n", "{x}", "../../X")


def own_run(text: str) -> dict[str, Any]:
    """A configuration with ``text`` wherever any text is allowed: paths, patterns, keys, labels, arguments."""
    config: dict[str, Any] = copy.deepcopy(CONFIG)
    config["data"]["own"] = {"source": "npz", "path": f"in/{text}.npz", "held_out_path": f"in/{text}-2.npz"}
    config["data"]["own"] |= {"images_key": text, "labels_key": text}
    config["extractors"]["dino"] = {"kind": "dinov2", "weights": f"in/{text}.pth", "sha256": "0" * 64}
    config["extractors"]["dino"] |= {"architecture": text, "resize": "bicubic-antialias"}
    checkpoints = {"folder": f"in/{text}", "pattern": text, "state_key": text, "track": text, "python_path": [text]}
    network = {"factory": "no.such:thing", "args": {text: text}, "python_path": [text], "image_shape": [1, 8, 8]}
    network |= {"label_argument": text, "classes": 10}
    extractors = {"search": "dino", "held_out": "mlp"}
    config["runs"] = {"own": {"checkpoints": checkpoints, "network": network, "extractors": extractors, "data": "own"}}
    config["extractors"]["mlp"]["data"] = "own"
    config["defaults"]["fine_tune"] = None
    return config


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


def test_no_text_reaches_a_shell(tmp_path: Path) -> None:
    """Snakemake prints the commands that it would run: in each, our text is one word, as the shell would read it."""
    text = "$(touch X) ; touch X ` 'q' \"d\""
    config = own_run(text)
    (tmp_path / "in" / text).mkdir(parents=True)
    for name in (f"{text}.npz", f"{text}-2.npz", f"{text}.pth"):
        (tmp_path / "in" / name).write_bytes(b"")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    arguments = ["--snakefile", str(SNAKEFILE), "--directory", str(tmp_path), "--cores", "1", "--dry-run", "-p"]
    arguments += ["--quiet", "host", "--configfile", str(tmp_path / "config.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        env=environment(), capture_output=True, text=True, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    commands = [line.removeprefix("Shell command: ") for line in done.stdout.splitlines() + done.stderr.splitlines()]
    commands = [line for line in commands if line.startswith("lcsc ")]
    assert {command.split()[1] for command in commands} >= {"data", "collect", "extractor", "search", "report"}
    for command in commands:
        # What /bin/bash makes of it, with `lcsc` a function that prints its arguments, is what was meant.
        shell = f"lcsc() {{ printf '%s\\0' \"$@\"; }}; {command}"
        said = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert said.stdout.split("\0")[:-1] == shlex.split(command)[1:]
    assert not [path for path in (tmp_path, REPOSITORY) if (path / "X").exists()]


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


def test_aliases_of_a_usual_kind_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: &a {x: 1}\nb: [*a, *a]\n", encoding="utf-8")
    assert read_yaml(tmp_path / "config.yaml") == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}
