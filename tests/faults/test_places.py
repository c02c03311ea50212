"""Two runs at once in one folder, inputs that cannot be written, and names that shells and parsers trip over."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_injection import (
    Step,
    assert_same_results,
    fault_config,
    mounted,
    results_of,
    running,
)
from small_workflow import environment, run_workflow

from lcsc.data import load_part, prepare

pytestmark = pytest.mark.faults

Finished = Callable[..., Path]
# Steps that a second start by hand may meet at work; the report of a run is one page and many figures.
AT_ONCE = ("data", "train", "collect_checkpoints", "reference_statistics", "search+tiny+evolution+0000", "export_tiny")


@pytest.mark.timeout(1200)
def test_a_second_snakemake_is_told_to_wait_and_the_first_goes_on(finished: Finished, undisturbed: Path) -> None:
    folder = finished()
    shutil.rmtree(folder / "results" / "tiny")
    with running(folder, fault_config()) as first:
        deadline = time.monotonic() + 120
        while not any((folder / ".snakemake" / "locks").glob("*.lock")):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = run_workflow(folder, fault_config(), check=False)
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout
        assert first.wait(timeout=1000) == 0
    assert_same_results(folder, undisturbed)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rule", AT_ONCE)
def test_two_steps_by_hand_write_the_same_bytes(
    finished: Finished, steps: list[Step], undisturbed: Path, rule: str
) -> None:
    """The same command twice at once; one of them may refuse in one line, and what is there in the end is whole."""
    folder = finished()
    step = next(step for step in steps if step.rule == rule)
    for journal in folder.glob("results/*/search/*/journal"):
        shutil.rmtree(journal)
    for output in map(folder.joinpath, step.outputs):
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
    both = [start(step, folder), start(step, folder)]
    said = [process.communicate(timeout=600)[0] for process in both]
    codes = [process.returncode for process in both]
    assert 0 in codes, said
    for code, words in zip(codes, said, strict=True):
        assert code == 0 or len([line for line in words.splitlines() if "error: " in line]) == 1, words
        assert "Traceback" not in words
    found, expected = results_of(folder), results_of(undisturbed)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def start(step: Step, folder: Path) -> subprocess.Popen[str]:
    words = [word for word in step.words if word not in ("--log", "--timing")]
    arguments = [sys.executable, "-m", "lcsc", *words_without_records(words)]
    return subprocess.Popen(
        arguments, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def words_without_records(words: list[str]) -> list[str]:
    """A command without the places of its log and its timing, which hold the time."""
    return [word for word in words if not word.startswith("logs/") and "/timings/" not in word]


@pytest.mark.timeout(1200)
def test_a_whole_run_in_a_folder_with_spaces_and_other_letters(tmp_path: Path, undisturbed: Path) -> None:
    folder = tmp_path / "ünï côde dir" / "with space"
    folder.mkdir(parents=True)
    run_workflow(folder, fault_config())
    assert_same_results(folder, undisturbed)


@pytest.mark.timeout(1200)
def test_checkpoints_that_cannot_be_written_in_a_folder_with_spaces(tmp_path: Path, undisturbed: Path) -> None:
    """A run of someone else's checkpoints, on a file system that is mounted to be read only."""
    source = undisturbed / "results/tiny/train/constant/checkpoints"
    folder = tmp_path / "run"
    folder.mkdir()
    config = fault_config()
    with mounted(tmp_path / "ünï côde" / "my checkpoints", "--bind", "--options", "ro", str(source)) as place:
        with pytest.raises(OSError, match="Read-only file system"):
            (place / "x").touch()
        config["runs"] = {"own": {"checkpoints": {"folder": str(place)}}}
        run_workflow(folder, config, "results/own/bank/index.json")
    for name in ("index.json", "segment-0000.h5"):
        found, expected = (root / "bank" / name for root in (folder / "results/own", undisturbed / "results/tiny"))
        assert found.read_bytes() == expected.read_bytes()


@pytest.mark.timeout(1200)
def test_images_that_cannot_be_written_in_a_folder_with_spaces(tmp_path: Path, undisturbed: Path) -> None:
    """Images of one's own on a file system that is mounted to be read only give the parts that they give elsewhere."""
    (part,) = undisturbed.glob("results/shared/data/*/train.npz")
    images = load_part(part)
    source = tmp_path / "source"
    source.mkdir()
    np.savez(source / "my images.npz", images=images.images, labels=images.labels)
    found = []
    with mounted(tmp_path / "ünï côde" / "my images", "--bind", "--options", "ro", str(source)) as place:
        for folder in (place, source):
            prepare(
                {"source": "npz", "path": str(folder / "my images.npz"), "held_out": 100, "seed": 0}, tmp_path / "made"
            )
            found.append([(tmp_path / "made" / name).read_bytes() for name in ("train.npz", "held-out.npz")])
    assert found[0] == found[1]
    assert sorted(path.name for path in source.iterdir()) == ["my images.npz"]
