"""What the fault suite's tests share: one undisturbed run of the whole pipeline, and copies of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_injection import Step, Undisturbed, fault_config, steps_of
from small_workflow import run_workflow

WHOLE = 100  # kills of the whole suite


@pytest.fixture(scope="session")
def undisturbed_run(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The pipeline of :func:`fault_config`, run once; tests must not change its files."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    folder.mkdir()
    began = time.monotonic()
    run_workflow(folder, fault_config())
    return Undisturbed(folder, time.monotonic() - began)


@pytest.fixture(scope="session")
def undisturbed(undisturbed_run: Undisturbed) -> Path:
    """The folder of the undisturbed run."""
    return undisturbed_run.folder


@pytest.fixture(scope="session")
def steps(undisturbed: Path) -> list[Step]:
    """All jobs of the pipeline, in an order in which they can run."""
    return steps_of(undisturbed, fault_config())


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes copies of the finished folder, time stamps and Snakemake's records included."""

    def copy(name: str = "run") -> Path:
        return Path(shutil.copytree(undisturbed, tmp_path / name, symlinks=True))

    return copy


@pytest.fixture(scope="session")
def kills() -> int:
    """How many kills the chain of resumes has: the environment variable KILLS, else 100."""
    return int(os.environ.get("KILLS", str(WHOLE)))


@pytest.fixture(scope="session")
def whole_suite(kills: int) -> None:
    """Skips a test that takes long where the suite is cut short by few kills."""
    if kills < WHOLE:
        pytest.skip(f"takes long, and KILLS={kills} asks for a short suite: unset it, or give {WHOLE}")
