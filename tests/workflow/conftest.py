"""What the end-to-end tests share: one training, and one undisturbed search of 15 generations."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small_workflow import generation_paths, run_workflow, small_config

LONGEST = 15


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything before the search is done."""
    folder = tmp_path_factory.mktemp("trained")
    run_workflow(folder, small_config(), "results/tiny/baselines.json")
    return folder


@pytest.fixture
def fresh(trained: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes copies of the trained folder, time stamps and Snakemake's records included."""

    def copy(name: str = "run") -> Path:
        return Path(shutil.copytree(trained, tmp_path / name, symlinks=True))

    return copy


@pytest.fixture(scope="session")
def undisturbed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of 15 generations in one round."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(trained, folder, symlinks=True)
    run_workflow(folder, small_config(LONGEST, per_round=20), *generation_paths(LONGEST))
    return folder
