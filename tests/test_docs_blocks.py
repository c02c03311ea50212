"""Each piece of configuration in the docs is accepted in its place, and each command there is one that runs."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import get_argument_parser

from lcsc.cli import build_parser
from lcsc.config import resolve

ROOT = Path(__file__).resolve().parent.parent
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
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
PROGRAMS = ("lcsc", "snakemake", "pip", "make")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of all pages in ``language``, each with a name."""
    for page, text in PAGES.items():
        for number, found in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)):
            yield f"{page}-{number}", found


# The one value that a page leaves out is put in. What is for Kubernetes is no configuration of ours.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load(found.replace("sha256: ...", f"sha256: {'a' * 64}"))
    for name, found in blocks("yaml")
    if "apiVersion" not in found
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


def commands() -> dict[str, list[str]]:
    """All commands of the pages, by page and text: lines of a shell, one of a Kubernetes job, and those in a text."""
    found = {}
    for name, text in blocks("sh"):
        for line in text.splitlines():
            if words := shlex.split(line, comments=True):
                found[f"{name}: {line}"] = words
    for page, text in PAGES.items():
        for line in re.findall(rf"`((?:{'|'.join(PROGRAMS)}) [^`\n]*)`|set -- (snakemake [^;]*);", text):
            found[f"{page}: {''.join(line)}"] = shlex.split("".join(line))
    return found


COMMANDS = commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_one_that_there_is(name: str) -> None:
    program, *words = COMMANDS[name]
    if program == "pip":
        assert words[0] == "install"
    elif program == "make":
        assert {word for word in words if "=" not in word} <= TARGETS
    elif program == "snakemake":
        given = get_argument_parser().parse_args([word for word in words if word != "…"])
        places = [*(given.configfile or []), *filter(None, [given.workflow_profile])]
        ours = [ROOT / place for place in places if Path(place).parts[0] in ("config", "workflow")]
        assert all(place.exists() for place in ours if place.stem != "NAME")
    else:
        assert program == "lcsc", "tell this test how to check it"
        check_step(*words)


def check_step(step: str, *words: str) -> None:
    """A step of the command line with options of its own; with their values where a page gives any."""
    (steps,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    parser = steps.choices[step]
    options = [word for word in words if word.startswith("--")]
    assert set(options) <= set(parser._option_string_actions)
    if words and [*words] != options:
        parser.parse_args(words)


def test_the_pages_have_such_pieces_and_commands() -> None:
    assert len(CONFIGURATIONS) > 20
    assert {words[0] for words in COMMANDS.values()} == set(PROGRAMS)
