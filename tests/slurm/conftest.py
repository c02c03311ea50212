"""Fixtures of the tests on a real Slurm of one node; they are skipped, with the reason, where none can be had."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import one_node
import pytest
from sharded_search import GENERATIONS, TARGETS, config_of
from small_workflow import generation_bytes, run_workflow


@pytest.fixture(scope="session")
def slurm_node() -> Iterator[None]:
    """Slurm, started before the first test that needs it and removed after the last."""
    reason = one_node.missing() or one_node.start()
    if reason:
        pytest.skip(reason)
    yield
    one_node.purge()


@pytest.fixture(scope="session")
def before_search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all that the search in shards needs is made."""
    folder = tmp_path_factory.mktemp("before-search")
    needed = ["--until", "collect_checkpoints", "reference_statistics"]
    run_workflow(folder, config_of(1), *TARGETS, *needed)
    return folder


@pytest.fixture(scope="session")
def expected(before_search: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The generations of a search that nothing disturbed, in one local job."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(before_search, folder, symlinks=True)
    run_workflow(folder, config_of(1), *TARGETS)
    return generation_bytes(folder, GENERATIONS)


@pytest.fixture
def folder(before_search: Path, tmp_path: Path) -> Path:
    """A folder of one's own in which the search in shards is all that is left to do."""
    return Path(shutil.copytree(before_search, tmp_path / "run", symlinks=True))
