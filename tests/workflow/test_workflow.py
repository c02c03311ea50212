"""The same bytes however a search is cut up, extended, killed or repeated; Snakemake does what it should."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from safetensors.torch import load_file
from small_workflow import (
    REPOSITORY,
    SEARCH,
    command,
    environment,
    generation_bytes,
    generation_paths,
    make_inputs,
    run_workflow,
    small_config,
    without_network,
)

from lcsc.bank import Bank
from lcsc.training.recorder import Recorder

pytestmark = pytest.mark.workflow

Fresh = Callable[..., Path]


def jobs_of(said: str) -> set[str]:
    """The rules that Snakemake ran."""
    return set(re.findall(r"^Finished jobid: \d+ \(Rule: (.+)\)$", said, re.MULTILINE))


def evaluations(folder: Path) -> int:
    """How many scores the journal holds."""
    return sum(len(path.read_text().splitlines()) for path in (folder / SEARCH / "journal").glob("*.jsonl"))


@pytest.mark.parametrize(("per_round", "count"), [(1, 8), (7, 15)])
def test_rounds_of_any_length_give_the_same_bytes(fresh: Fresh, undisturbed: Path, per_round: int, count: int) -> None:
    folder = fresh()
    said = run_workflow(folder, small_config(count, per_round), *generation_paths(count)).stdout
    assert len([job for job in jobs_of(said) if job.startswith("search+")]) == -(-count // per_round)
    assert generation_bytes(folder, count) == generation_bytes(undisturbed, count)


def test_an_extended_search_runs_the_new_rounds_only(fresh: Fresh, undisturbed: Path) -> None:
    folder = fresh()
    run_workflow(folder, small_config(10, 5), *generation_paths(10))
    before = [(folder / path).stat().st_mtime_ns for path in generation_paths(10)]
    said = run_workflow(folder, small_config(15, 5), *generation_paths(15)).stdout
    assert jobs_of(said) == {"search+tiny+evolution+0010"}
    assert [(folder / path).stat().st_mtime_ns for path in generation_paths(10)] == before
    assert generation_bytes(folder, 15) == generation_bytes(undisturbed, 15)


def test_a_search_extended_within_a_round_scores_nothing_twice(fresh: Fresh, undisturbed: Path) -> None:
    folder = fresh()
    run_workflow(folder, small_config(10, 20), *generation_paths(10))
    assert evaluations(folder) == 10 * 6
    said = run_workflow(folder, small_config(15, 20), *generation_paths(15)).stdout
    assert jobs_of(said) == {"search+tiny+evolution+0000"}
    assert evaluations(folder) == 15 * 6
    assert generation_bytes(folder, 15) == generation_bytes(undisturbed, 15)


def test_a_fresh_run_on_one_core_gives_the_same_bytes(tmp_path: Path, undisturbed: Path) -> None:
    """A second run from nothing: also its checkpoints, bank, extractors, references and baselines; without a network
    where the system lets a test take it away."""
    targets = ["results/tiny/baselines.json", *generation_paths(4)]
    run_workflow(tmp_path, small_config(4, 20), *targets, cores=1, before=without_network())
    shared = ["results/shared", "results/tiny/train", "results/tiny/bank", "results/tiny/baselines.json"]
    for path in shared:
        found = tmp_path / path
        files = [found] if found.is_file() else [file for file in found.rglob("*") if file.is_file()]
        for file in files:
            relative = file.relative_to(tmp_path)
            if "timings" not in relative.parts:
                assert file.read_bytes() == (undisturbed / relative).read_bytes(), relative
    assert generation_bytes(tmp_path, 4) == generation_bytes(undisturbed, 4)


@pytest.mark.skipif(not without_network(), reason="the system lets no test take the network away")
def test_a_command_without_a_network_reaches_nobody() -> None:
    reach = "import socket; socket.create_connection(('127.0.0.1', {}), 5).close()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        python = [sys.executable, "-c", reach.format(server.getsockname()[1])]
        assert subprocess.run(python, check=False).returncode == 0
        done = subprocess.run([*without_network(), *python], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in done.stderr


def kill_within_a_generation(folder: Path, arguments: list[str], scores: int) -> None:
    """Start Snakemake and kill it and all its children without mercy once ``scores`` scores are known."""
    process = subprocess.Popen(
        arguments,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while evaluations(folder) < scores:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        if child.is_running():
            child.kill()
    process.wait()


def test_a_killed_run_goes_on_and_scores_nothing_twice(fresh: Fresh) -> None:
    config = small_config(4, 20, images=20_000)
    killed, whole = fresh("killed"), fresh("whole")
    run_workflow(whole, config, *generation_paths(4))
    kill_within_a_generation(killed, command(killed, config, *generation_paths(4)), scores=9)
    journal = next((killed / SEARCH / "journal").glob("*.jsonl"))
    known = [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("}")]
    assert 9 <= len(known) < 24

    run_workflow(killed, config, "--unlock")
    run_workflow(killed, config, *generation_paths(4))
    assert generation_bytes(killed, 4) == generation_bytes(whole, 4)
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert records[: len(known)] == known
    assert len({record["candidate"] for record in records}) == len(records) == 24


def test_a_changed_setting_runs_what_depends_on_it(fresh: Fresh) -> None:
    folder = fresh()
    config = small_config(2, 2)
    run_workflow(folder, config, f"{SEARCH}/selection.json")
    config["defaults"]["searches"]["evolution"]["finalists"] = 2
    assert jobs_of(run_workflow(folder, config, f"{SEARCH}/selection.json").stdout) == {"select"}
    config["defaults"]["searches"]["evolution"]["seed"] = 1
    said = run_workflow(folder, config, f"{SEARCH}/selection.json").stdout
    assert jobs_of(said) == {"search+tiny+evolution+0000", "select"}


def test_checkpoints_of_ones_own(trained: Path, tmp_path: Path) -> None:
    """No training, so no true EMAs; the source folder is left as it was."""
    source = trained / "results/tiny/train/constant/checkpoints"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    config = small_config(2, 2)
    config["runs"] = {"own": {"checkpoints": {"folder": str(source), "from_step": 26}, "fine_tune": None}}
    run_workflow(tmp_path, config)
    baselines = json.loads((tmp_path / "results/own/baselines.json").read_text())
    families = {entry["family"] for entry in baselines["entries"]}
    assert families == {"last", "single", "uniform", "window", "ema-shaped", "post-hoc"}
    assert (tmp_path / "results/own/export/merged.safetensors").is_file()
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_bank_that_was_recorded(trained: Path, tmp_path: Path) -> None:
    """The run has a copy of it, as differences where that is asked for; it goes on while the bank grows."""
    source = trained / "results/tiny/train/constant/checkpoints"
    state = load_file(sorted(source.glob("*.safetensors"))[0])
    with Recorder(tmp_path / "mine") as recorder:
        for step in range(1, 7):
            recorder(step, {name: tensor * (1 + step / 100) for name, tensor in state.items()})
    config = small_config(2, 2)
    checkpoints = {"folder": "mine", "from_step": 2, "storage": "differences"}
    config["runs"] = {"own": {"checkpoints": checkpoints, "fine_tune": None}}
    run_workflow(tmp_path, config, "results/own/baselines.json")
    bank = Bank.open(tmp_path / "results/own/bank", verify=True)
    assert (bank.steps, bank.storage) == ([2, 3, 4, 5, 6], "differences")
    with Recorder(tmp_path / "mine") as recorder:
        recorder(7, state)
    said = run_workflow(tmp_path, config, "results/own/export/merged.safetensors").stdout
    assert "collect_checkpoints" not in jobs_of(said)
    assert load_file(tmp_path / "results/own/export/merged.safetensors").keys() == state.keys()
    assert Bank.open(tmp_path / "results/own/bank").identity == bank.identity


def test_runs_share_what_they_have_in_common(tmp_path: Path) -> None:
    config = small_config()
    config["runs"] = {f"seed-{seed}": {"train": {"seed": seed}} for seed in range(3)}
    said = run_workflow(tmp_path, config, "--dry-run", "--quiet", "rules").stdout
    counts = dict(line.split() for line in said.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert counts["data"] == "1"
    assert counts["train_extractor"] == "2"
    assert counts["reference_statistics"] == "4"
    assert counts["train"] == "6"


def test_a_thousand_generations_are_planned(tmp_path: Path) -> None:
    said = run_workflow(tmp_path, small_config(1000, 1), "--dry-run", "--quiet", "rules").stdout
    assert "search+tiny+evolution+0999" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("device=gpu", 'device: found "gpu", expected one of auto, cpu, cuda'),
        ("thread=2", "thread: found an unknown key"),
        ("runs={tiny: {train: {steps: two}}}", 'runs.tiny.train.steps: found "two"'),
    ],
)
def test_a_wrong_config_ends_with_one_line(tmp_path: Path, change: str, message: str) -> None:
    done = run_workflow(tmp_path, small_config(), "--dry-run", "--config", change, check=False)
    assert done.returncode == 2
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Using ")]
    assert len(lines) == 1
    assert f"given.yaml + --config: {message}" in lines[0]
    assert not (tmp_path / "results").exists()


def test_a_missing_folder_of_checkpoints_ends_with_one_line(tmp_path: Path) -> None:
    config = small_config()
    config["runs"]["tiny"] = {**config["runs"]["tiny"], "checkpoints": {"folder": "runs/absent"}}
    for entry in (config["defaults"], config["runs"]["tiny"]):
        entry.pop("train", None)
    done = run_workflow(tmp_path, config, "--dry-run", check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("Using ")]
    assert done.returncode != 0
    assert len(lines) == 1, lines
    assert "runs.tiny.checkpoints.folder: found no folder 'runs/absent', expected" in lines[0]


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    arguments = command(tmp_path, small_config(), "--dry-run")
    path = tmp_path / "given.yaml"
    path.write_text(path.read_text() + "device: cpu\n")
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the key 'device' stands twice" in done.stderr


@pytest.mark.parametrize(
    ("damaged", "rule"),
    [
        ("results/tiny/bank/segment-0000.h5", "collect_checkpoints"),
        ("results/shared/references/*.train.cnn-*.h5", "reference_statistics"),
    ],
)
def test_a_failed_step_leaves_what_was_there(fresh: Fresh, damaged: str, rule: str) -> None:
    folder = fresh()
    run_workflow(folder, small_config(2, 2), *generation_paths(2))
    before = generation_bytes(folder, 2)
    (path,) = folder.glob(damaged)
    path.write_bytes(b"no HDF5")
    done = run_workflow(folder, small_config(4, 2), *generation_paths(4), "--rerun-triggers", "input", check=False)
    assert done.returncode != 0
    assert path.name in done.stdout
    assert "The logs of the steps" in done.stdout
    assert generation_bytes(folder, 2) == before

    # docs/faults.md: it is made again by itself, and what was made from it stays.
    path.unlink()
    assert rule in run_workflow(folder, small_config(4, 2), str(path.relative_to(folder))).stdout
    done = run_workflow(folder, small_config(4, 2), *generation_paths(4))
    assert "search+tiny+evolution+0000" not in done.stdout
    assert generation_bytes(folder, 2) == before


def test_another_extractor_makes_its_statistics_run_again_and_a_touched_one_does_not(tmp_path: Path) -> None:
    config = small_config()
    config["extractors"]["mlp"] |= {"width": 1024}
    run_workflow(tmp_path, config, "--until", "reference_statistics")
    shared = tmp_path / "results/shared"
    (large,) = (path for path in (shared / "extractors").glob("mlp-*.safetensors") if path.stat().st_size > 4e6)
    statistics = [str(path.relative_to(tmp_path)) for path in (shared / "references").glob(f"*{large.stem}.h5")]
    assert len(statistics) == 2
    large.touch()
    assert "Nothing to be done" in run_workflow(tmp_path, config, "--dry-run", *statistics).stdout
    large.with_name(f"{large.name}.sha256").write_text(f"{0:064}  {large.name}\n")
    assert "reference_statistics" in run_workflow(tmp_path, config, "--dry-run", *statistics).stdout


def test_lint_is_clean() -> None:
    arguments = [sys.executable, "-m", "snakemake", "--lint"]
    done = subprocess.run(arguments, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configurations_of_the_repository_are_planned(tmp_path: Path) -> None:
    for path in sorted((REPOSITORY / "config").glob("*.yaml")):
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        make_inputs(tmp_path, config)
        assert "report" in run_workflow(tmp_path, config, "--dry-run").stdout
