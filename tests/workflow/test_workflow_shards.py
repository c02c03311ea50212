"""Searches whose generations are cut into shards: the same generations, and nothing left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from small_workflow import run_workflow, small_config

pytestmark = pytest.mark.workflow
GENERATIONS = 3
NAMES = ("evolution", "tensor")
SELECTIONS = [f"results/tiny/search/{name}/selection.json" for name in NAMES]
# More chunks of images than shards, the last of them not full.
IMAGES = 150


def config_of(shards: int, generations: int = GENERATIONS) -> dict[str, object]:
    config = small_config(generations, 20, images=IMAGES)
    for name in NAMES:
        config["defaults"]["searches"][name] |= {"generations": generations, "shards": shards}
    return config


def content(folder: Path, count: int) -> dict[str, bytes]:
    found = {}
    for name in NAMES:
        paths = [f"results/tiny/search/{name}/generation-{number:04d}.json" for number in range(count)]
        found |= {path: (folder / path).read_bytes() for path in [*paths, f"results/tiny/search/{name}/selection.json"]}
    return found


@pytest.mark.timeout(1800)  # sixty jobs, each of which imports PyTorch, on a machine that may be busy
def test_shards_give_the_same_generations_and_extend(fresh: Callable[[str], Path]) -> None:
    whole, shared = fresh("whole"), fresh("shared")
    run_workflow(whole, config_of(1), *SELECTIONS)
    said = run_workflow(shared, config_of(4), *SELECTIONS, "--max-threads", "1").stdout
    assert content(shared, GENERATIONS) == content(whole, GENERATIONS)
    jobs = re.findall(r"^Finished jobid: \d+ \(Rule: (.+)\)$", said, re.MULTILINE)
    counts = {name: jobs.count(name) for name in set(jobs) if "+" in name}
    expected = {f"{stage}+tiny+tensor": 4 * GENERATIONS for stage in ("forward", "backward")}
    expected |= {"forward+tiny+evolution": 4 * GENERATIONS}
    assert counts == expected | {f"join+tiny+{name}": GENERATIONS for name in NAMES}
    assert not list(shared.rglob("*.npz.*")) + list((shared / "results/tiny/search").rglob("*.npz"))
    timing = json.loads((shared / "results/tiny/timings/search-tensor-0002.json").read_text())
    assert (timing["evaluations"], timing["images"]) == (1, IMAGES)
    # A longer search runs what is new, and a search in one job again knows the scores of the shards.
    said = run_workflow(shared, config_of(4, GENERATIONS + 1), SELECTIONS[0], "--max-threads", "1").stdout
    new = re.findall(r"^Finished jobid: \d+ \(Rule: (.+\+.+)\)$", said, re.MULTILINE)
    assert sorted(new) == ["forward+tiny+evolution"] * 4 + ["join+tiny+evolution"]
    journal = shared / "results/tiny/search/evolution/journal"
    before = {path: path.read_bytes() for path in journal.iterdir()}
    run_workflow(shared, config_of(1), SELECTIONS[0])
    assert {path: path.read_bytes() for path in journal.iterdir()} == before
    assert content(shared, GENERATIONS) == content(whole, GENERATIONS)


def test_a_thousand_generations_in_shards_are_planned(tmp_path: Path) -> None:
    config = small_config(1000, 1)
    config["defaults"]["searches"]["evolution"] |= {"shards": 2}
    said = run_workflow(tmp_path, config, "--dry-run", "--quiet", "rules").stdout
    counts = dict(line.split() for line in said.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit())
    assert counts["join+tiny+evolution"] == "1000"
    assert counts["forward+tiny+evolution"] == "2000"
