"""The commands of the README and the docs run: the quick start as it stands, what is long as a dry run or in small."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from pages import COMMANDS, blocks
from small_workflow import REPOSITORY, environment, make_inputs

pytestmark = pytest.mark.workflow
# Commands that run in other tests, or cannot run in one.
ELSEWHERE = {
    "fetch": "needs a network; tests/test_extractors.py fetches from a server of its own",
    "--watch": "goes on until all is done; tests/test_status.py",
    "--workflow-profile": "tests/slurm/test_clusters_page.py",
}
# What stands on the pages for places of a user's own.
PLACES = {
    "FOLDER": "runs/mine",
    "DIR": "runs/mine",
    "runs/NAME": "runs/mine",
    "config/NAME.yaml": "config/cifar10-ct.yaml",
    "/lcsc/workflow/Snakefile": "workflow/Snakefile",
}
QUICK = dict(blocks("sh"))["quick-start-1"].splitlines()
ALL = {tuple(words): name for name, words in reversed(COMMANDS.items())}


def runs(program: str) -> list[tuple[str, ...]]:
    """The different commands of ``program`` that are whole: not only a step, or a step and the name of an option."""
    found = [words for words in ALL if words[0] == program and not ELSEWHERE.keys() & set(words)]
    return [words for words in found if program == "snakemake" or any(word[0] != "-" for word in words[2:])]


def run(folder: Path, words: Sequence[str]) -> str:
    """What the command says, run in ``folder`` by the tests' Python; it must end well."""
    module = {"lcsc": "lcsc", "snakemake": "snakemake", "python": ""}[words[0]]
    command = [sys.executable, *(["-m", module] if module else []), *words[1:]]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env={**environment(), "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quick start was followed."""
    folder = tmp_path_factory.mktemp("quick")
    for name in ("workflow", "config", "environment.yml"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "quick.yaml").write_text(dict(blocks("yaml"))["quick-start-0"])
    said = [run(folder, words) for line in QUICK if (words := line.partition("#")[0].split())]
    assert "quick" in said[-2]
    return folder


@pytest.fixture(scope="module")
def users(quick: Path) -> Path:
    """The same with all that the pages' commands name: checkpoints, a configuration, banks, earlier results."""
    made = quick / "results" / "quick"
    shutil.copytree(made / "train" / "constant" / "checkpoints", quick / "runs" / "mine")
    config = yaml.safe_load((quick / "quick.yaml").read_text())
    del config["defaults"]["train"]
    config["defaults"]["checkpoints"] = {"folder": "runs/mine", "count": 8}
    (quick / "my.yaml").write_text(yaml.safe_dump({**config, "runs": {"mine": {}}}))
    shutil.copytree(made / "export", quick / "backup")
    (quick / "export" / "native").mkdir(parents=True)
    shutil.copy(made / "export" / "recipe.json", quick / "export" / "native" / "model000123.pt.recipe.json")
    for place in ("runs/mine/bank", "results/mine/bank", "bank"):
        (quick / place).parent.mkdir(exist_ok=True)
        (quick / place).symlink_to(made / "bank")
    (quick / "results" / "digits").symlink_to(made)
    for path in (REPOSITORY / "config").glob("*.yaml"):
        make_inputs(quick, yaml.safe_load(path.read_text(encoding="utf-8")))
    return quick


def test_the_code_of_the_quick_start_runs(quick: Path) -> None:
    code = dict(blocks("python"))["quick-start-0"]
    run(quick, ("python", "-c", code + "\nassert torch.isfinite(noise).all()"))


@pytest.mark.parametrize("words", runs("lcsc"), ids=" ".join)
def test_each_command_of_ours_runs_in_small(words: tuple[str, ...], users: Path) -> None:
    run(users, [PLACES.get(word, word) for word in words])


@pytest.mark.parametrize("words", runs("snakemake"), ids=" ".join)
def test_each_workflow_can_be_planned(words: tuple[str, ...], users: Path) -> None:
    wanted = [PLACES.get(word, word) for word in words if word != "…"]
    said = run(users, [wanted[0], "--dry-run", *wanted[1:]])
    assert any(word in said for word in ("Job stats:", "Nothing to be done", "Report created", "Unlocked"))
