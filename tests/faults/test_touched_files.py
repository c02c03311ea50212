"""Time stamps that say nothing: touched files, and copies that took the time of copying.

Where Snakemake runs steps again for them, they write the same bytes, and a search makes no score twice.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from fault_injection import assert_same_results, fault_config, journaled
from small_workflow import generation_paths, run_workflow

pytestmark = pytest.mark.faults
SEED = 29
DAY = 86400.0
GENERATIONS = 4
NOTHING = "Nothing to be done"


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def set_times(paths: Iterable[Path], seed: int) -> None:
    """Times within the last ten days, in an order that has nothing to do with that of writing."""
    random = np.random.default_rng(seed)
    for path in paths:
        moment = time.time() - float(random.uniform(0.0, 10 * DAY))
        os.utime(path, (moment, moment))


def copy_without_times(source: Path, folder: Path, seed: int) -> None:
    """The results alone, without Snakemake's records, as many a copy leaves them."""
    for path in files_in(source / "results"):
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    set_times(files_in(folder / "results"), seed)


def assert_as_it_was(folder: Path, undisturbed: Path) -> None:
    """All bytes are the same, and the journals hold no score more."""
    assert_same_results(folder, undisturbed)
    assert journaled(folder) == journaled(undisturbed)


@pytest.mark.timeout(600)
def test_touched_files_are_known_by_their_content(finished: Callable[..., Path], undisturbed: Path) -> None:
    """Snakemake keeps checksums of the inputs of each step; it compares times above a megabyte alone."""
    folder = finished()
    set_times(files_in(folder / "results"), SEED)
    assert NOTHING in run_workflow(folder, fault_config()).stdout
    assert_as_it_was(folder, undisturbed)


@pytest.mark.timeout(600)
def test_a_copy_without_times_is_taken_as_it_is_where_snakemake_is_told_so(undisturbed: Path, tmp_path: Path) -> None:
    copy_without_times(undisturbed, tmp_path, SEED + 1)
    assert NOTHING not in run_workflow(tmp_path, fault_config(), "--dry-run").stdout
    run_workflow(tmp_path, fault_config(), "--touch")
    assert NOTHING in run_workflow(tmp_path, fault_config()).stdout
    assert_as_it_was(tmp_path, undisturbed)


@pytest.mark.timeout(1200)
def test_a_copy_without_times_is_made_again_with_the_same_bytes_and_no_score(
    whole_suite: None, undisturbed: Path, tmp_path: Path
) -> None:
    """All up to the search runs again; the search takes its scores from the journal."""
    copy_without_times(undisturbed, tmp_path, SEED + 1)
    said = run_workflow(tmp_path, fault_config(), *generation_paths(GENERATIONS)).stdout
    assert all(f"(Rule: {rule})" in said for rule in ("train", "collect_checkpoints", "search+tiny+evolution+0000"))
    assert_as_it_was(tmp_path, undisturbed)
