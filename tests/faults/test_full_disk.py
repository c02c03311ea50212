"""A disk that is full, or read only, while any file of the pipeline is written: one line, whole earlier files, the same
bytes later.

Every step runs as its job would, in this process: on a small file system where mounting is allowed, and below a limit
of file sizes (RLIMIT_FSIZE) everywhere.
"""

from __future__ import annotations

import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_injection import Step, fault_config, mounted, results_of, steps_of
from small_workflow import small_config

from lcsc.cli import main

pytestmark = pytest.mark.faults

PAGE = 4096
SIZE = 64 << 20


@contextmanager
def full_but_for(folder: Path, pages: int) -> Iterator[None]:
    """The file system of ``folder`` with room for ``pages`` more pages."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(16 * PAGE))
        except OSError:
            pass
        stream.truncate(max(0, stream.tell() // PAGE - pages) * PAGE)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file of this process may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in ``folder`` can be written, not even by root."""
    with mounted(folder, "--bind", "--options", "ro", str(folder)):
        yield


def files_of(step: Step) -> list[Path]:
    """The files that the step has made, those in its folders among them."""
    found = [Path(output) for output in step.outputs]
    return [file for path in found for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]


def remove_outputs(step: Step) -> None:
    """As Snakemake does before a job runs again."""
    for output in map(Path, step.outputs):
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)


def fails_without_space(
    step: Step, full: AbstractContextManager[None], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run ``step``, whose outputs are not there, in ``full``: one line, all else as it was, nothing left behind."""
    before = results_of(Path())
    capsys.readouterr()
    with full:
        code = main(step.words)
        said = capsys.readouterr().err
    errors = [line for line in said.splitlines() if "error: " in line]
    assert (code, len(errors)) == (1, 1), said
    assert re.search(rf"cannot be (written|removed) \({reason}", errors[0]), said
    assert "Traceback" not in said
    after = results_of(Path())
    ours = tuple(f"{Path(output).relative_to('results')}" for output in step.outputs)
    mine = {name for name in {*before, *after} if name.startswith(ours) or name.endswith(".sha256")}
    assert {name: after.get(name) for name in before if name not in mine} == {
        name: content for name, content in before.items() if name not in mine
    }
    assert [name for name in after if name.endswith(".part")] == []


def goes_on_with_space(step: Step, undisturbed: Path) -> None:
    """The same step again: its files are those of the undisturbed run, and there is nothing else."""
    assert main(step.words) == 0
    found, expected = results_of(Path()), results_of(undisturbed)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.timeout(1200)
def test_a_small_file_system(
    steps: list[Step],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Full before the first byte, and at a seeded place within what the step writes."""
    random = np.random.default_rng(11)
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs") as disk:
        shutil.copytree(undisturbed / "results", disk / "results", symlinks=True)
        monkeypatch.chdir(disk)
        for step in steps:
            pages = sum(-(-file.stat().st_size // PAGE) for file in files_of(step))
            remove_outputs(step)
            for room in (0, int(random.integers(1, pages))):
                fails_without_space(step, full_but_for(disk, room), "No space left on device", capsys)
            goes_on_with_space(step, undisturbed)
        monkeypatch.undo()


@pytest.mark.timeout(1200)
def test_a_limit_of_file_sizes(
    steps: list[Step],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No byte may be written, not even to a journal, and all but the last byte of the largest file (half of a page)."""
    shutil.copytree(undisturbed / "results", tmp_path / "results", symlinks=True)
    monkeypatch.chdir(tmp_path)
    for step in steps:
        largest = max(file.stat().st_size for file in files_of(step))
        remove_outputs(step)
        for journal in Path("results").glob("*/search/*/journal"):
            shutil.rmtree(journal)
        # Seconds in a page change its size.
        for size in (0, largest // 2 if step.rule == "report" else largest - 1):
            fails_without_space(step, limited(size), "File too large", capsys)
        goes_on_with_space(step, undisturbed)


@pytest.mark.timeout(1200)
def test_results_that_cannot_be_written(
    steps: list[Step],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As on a file system that went read only after an error, which is how Linux mounts most."""
    results = tmp_path / "results"
    shutil.copytree(undisturbed / "results", results, symlinks=True)
    monkeypatch.chdir(tmp_path)
    for step in steps:
        remove_outputs(step)
        for journal in results.glob("*/search/*/journal"):
            shutil.rmtree(journal)
        fails_without_space(step, read_only(results), "Read-only file system", capsys)
        goes_on_with_space(step, undisturbed)


@pytest.mark.timeout(1200)
def test_a_limit_of_file_sizes_in_further_kinds_of_steps(
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Shards by value and by gradient, joins, fine-tunings and further trainings: what the small run has none of."""
    shutil.copytree(undisturbed / "results", tmp_path / "results", symlinks=True)
    monkeypatch.chdir(tmp_path)
    steps = steps_of(undisturbed, further_config())
    further = [step for step in steps if not any(Path(output).exists() for output in step.outputs)]
    tried: set[str] = set()
    for step in further:
        assert main(step.words) == 0
        if step.rule in tried:
            continue
        tried.add(step.rule)
        whole, largest = results_but_shards(), max(file.stat().st_size for file in files_of(step))
        for size in (0, largest // 2):  # seconds in a file change its size
            remove_outputs(step)
            for journal in Path("results").glob("*/search/*/journal"):
                shutil.rmtree(journal)
            fails_without_space(step, limited(size), "File too large", capsys)
        assert main(step.words) == 0
        assert results_but_shards() == whole
    assert {
        "forward+tiny+tensor",
        "backward+tiny+tensor",
        "join+tiny+tensor",
        "forward+tiny+shared",
        "fine_tune",
    } <= tried


def results_but_shards() -> dict[str, bytes]:
    """What must be the same bytes: shares of a generation hold seconds, and go once it is joined."""
    return {name: content for name, content in results_of(Path()).items() if "/shards/" not in name}


def further_config() -> dict[str, Any]:
    """The suite's configuration with steps that its one run does not have."""
    config, more = fault_config(), small_config()["defaults"]
    defaults = config["defaults"]
    defaults["train"]["decayed"] = True
    defaults["fine_tune"] = more["fine_tune"]
    shards = {"generations": 2, "shards": 2}
    defaults["searches"]["shared"] = {**more["searches"]["evolution"], **shards}
    defaults["searches"]["tensor"] = {**more["searches"]["tensor"], **shards}
    return config
