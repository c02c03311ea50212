"""Each piece of configuration in the docs is accepted in its place, and each command there is one that runs.

What runs at all runs in ``tests/workflow/test_docs_commands.py``; here every command is read by its own parser.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import COMMANDS, NOT_OURS, PAGES, PROGRAMS, ROOT, blocks
from snakemake.cli import get_argument_parser

from lcsc.cli import build_parser
from lcsc.config import resolve

# What the pieces of pages stand in: a configuration that is complete without them.
AROUND = """
data: {digits: {source: digits, held_out: 397}, mine: {source: npz, path: data/mine.npz, held_out: 500}}
extractors:
  one: {kind: classifier, data: mine, architecture: cnn}
  two: {kind: classifier, data: mine, architecture: mlp}
defaults:
  data: mine
  checkpoints: {folder: runs/mine}
  network: {factory: "my_code.models:make", args: {width: 128}, python_path: [.], image_shape: [1, 8, 8]}
  preconditioning: {kind: consistency}
  sampler: {kind: consistency, sigmas: [80.0]}
  extractors: {search: one, held_out: two}
  searches: {gradient: {method: gradient}}
runs: {mine: {}}
"""
OF_ALL_RUNS = ("data", "extractors")
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
# Files and folders of the commands that a user makes.
USERS = ("my.yaml", "quick.yaml")


# The one value that a page leaves out is put in. What is for Kubernetes, and profiles, are no configurations of ours.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load(found.replace("sha256: ...", f"sha256: {'a' * 64}"))
    for name, found in blocks("yaml")
    if not found.startswith(("apiVersion:", "executor:"))
}


def in_place(piece: dict[str, Any], page: list[dict[str, Any]]) -> dict[str, Any]:
    """``piece`` of a configuration as a whole one, among what is around it and the data and extractors of its page."""
    if piece.keys() >= {"data", "extractors", "runs"}:
        return piece
    config: dict[str, Any] = yaml.safe_load(AROUND)
    sections = {key: value for key, value in piece.items() if key not in (*OF_ALL_RUNS, "defaults", "runs")}
    sections |= piece.get("defaults", {}) | piece.get("runs", {}).get("mine", {})
    if "generator" in sections:  # in place of these
        for key in ("network", "preconditioning", "sampler"):
            del config["defaults"][key]
    config["defaults"] |= sections
    for key in OF_ALL_RUNS:
        for other in page:
            config[key] |= other.get(key, {})
    return config


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_piece_of_configuration_is_accepted_in_its_place(name: str) -> None:
    piece, page = CONFIGURATIONS[name], name.rpartition("-")[0]
    found = resolve(in_place(piece, [other for key, other in CONFIGURATIONS.items() if key.startswith(f"{page}-")]))
    for key in OF_ALL_RUNS:
        assert piece.get(key, {}).keys() <= found[key].keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_one_that_there_is(name: str) -> None:
    program, *words = COMMANDS[name]
    CHECKS[program](words)


def check_lcsc(words: list[str]) -> None:
    """A step of the command line: read by the parser, where values are given, else its options are its own."""
    (steps,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    if words == ["STEP", "--help"]:
        return
    step, *rest = words
    parser = steps.choices[step]
    options = [word for word in rest if word.startswith("--")]
    assert set(options) <= set(parser._option_string_actions)
    if rest != options:
        build_parser().parse_args(words)


def check_snakemake(words: list[str]) -> None:
    """Snakemake reads it, files of ours are there, and no target is taken for a configuration."""
    given = get_argument_parser().parse_args([word for word in words if word != "…"])
    files = given.configfile or []
    assert all(Path(file).suffix == ".yaml" for file in files), "a target after --configfile is read as one"
    for place in [*files, *filter(None, [given.workflow_profile])]:
        ours = Path(place).parts[0] in ("config", "workflow") and "NAME" not in str(place)
        assert (ROOT / place).exists() if ours else str(place) in (*USERS, "my-profile", "config/NAME.yaml")


def check_make(words: list[str]) -> None:
    """Make knows the target, and what it would do is not nothing."""
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make, "--dry-run", "--directory", ROOT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def check_pip(words: list[str]) -> None:
    """This package, installed with extras that it has."""
    action, *what = words
    (package,) = (word for word in what if word not in ("-e", "--no-deps"))
    name, extras = re.fullmatch(r"(lcsc|\.)(?:\[([a-z,]+)\])?", package).groups()  # type: ignore[union-attr]
    assert action == "install"
    assert name == ("." if "-e" in what else "lcsc")
    assert set(extras.split(",") if extras else []) <= EXTRAS


def check_python(words: list[str]) -> None:
    """The description of the keys is what it writes (tests/test_config.py)."""
    assert words == ["-m", "lcsc.config", ">", "config/README.md"]


CHECKS = {
    "lcsc": check_lcsc,
    "snakemake": check_snakemake,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
}


def test_the_pages_have_such_pieces_and_commands() -> None:
    assert len(CONFIGURATIONS) > 20
    assert {words[0] for words in COMMANDS.values()} == set(PROGRAMS)
    text = "".join(PAGES.values())
    assert all(command in text for command in NOT_OURS)
