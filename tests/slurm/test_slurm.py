"""A search in shards through a real Slurm of one node: a job for each heavy step, and the bytes of a local run.

`make test-slurm` starts the scheduler (tests/slurm/start-slurm.sh: Debian or Ubuntu, root) and these tests.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from one_node import LIMIT, finished, submit, submitted
from small_workflow import run_workflow, small_config

pytestmark = pytest.mark.slurm
TARGET = "results/tiny/evaluation.json"
GENERATIONS, IMAGES = 2, 150
# A job costs about ten seconds of a core, most of it imports: as few as show both kinds of search.
SHARDS = {"evolution": 4, "tensor": 2}
# What runs where Snakemake runs; all other steps are jobs of Slurm.
LIGHT = {"data"}


def config_of(shards: dict[str, int] | None = None) -> dict[str, Any]:
    """The small configuration with two generations of a search by value and one by gradient."""
    config = small_config(GENERATIONS, 20, images=IMAGES)
    defaults = config["defaults"]
    defaults["train"] |= {"decayed": False}
    for unused in ("power_ema", "continue"):
        del defaults["train"][unused]
    defaults["fine_tune"]["adam"] |= {"rates": [0.001], "gradients": 2}
    for name, count in (shards or {}).items():
        defaults["searches"][name]["shards"] = count
    defaults["searches"]["tensor"]["generations"] = GENERATIONS
    return config


def contents(folder: Path) -> dict[str, bytes]:
    """Every generation with its scores, the choices of both searches, and the final numbers."""
    search = folder / "results/tiny/search"
    paths = [path for name in SHARDS for path in sorted((search / name).glob("*.json"))]
    paths.append(folder / TARGET)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.timeout(3 * LIMIT)
def test_a_search_in_shards_through_slurm_has_the_bytes_of_a_local_one(slurm_node: None, tmp_path: Path) -> None:
    local, cluster = tmp_path / "local", tmp_path / "cluster"
    local.mkdir(), cluster.mkdir()
    said = submit(cluster, config_of(SHARDS), TARGET)
    run_workflow(local, config_of(), TARGET)
    assert contents(cluster) == contents(local)
    assert len(contents(cluster)) == len(SHARDS) * (GENERATIONS + 1) + 1
    jobs = submitted(said)
    counts = {rule: len(set(ids)) for rule, ids in jobs.items()}
    done = finished(said)
    assert counts == {rule: done.count(rule) for rule in done if rule not in LIGHT}
    assert counts["forward+tiny+evolution"] == SHARDS["evolution"] * GENERATIONS
    assert counts["backward+tiny+tensor"] == SHARDS["tensor"] * GENERATIONS


@pytest.mark.timeout(LIMIT)
@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        ({"gpu": 1}, {"TresPerJob": "gres:gpu:1"}),
        ({"gres": "gpu:1", "slurm_partition": "gpu"}, {"TresPerNode": "gres:gpu:1"}),
    ],
)
def test_a_step_on_a_gpu_asks_for_one_as_the_site_wants_it(
    slurm_node: None, tmp_path: Path, wanted: dict[str, Any], asked: dict[str, str]
) -> None:
    config = config_of() | {"device": "cuda", "gpu_resources": wanted}
    said = submit(tmp_path, config, "results/tiny/train/constant/manifest.json", "--retries", "0", check=False)
    (job,) = submitted(said)["train"]
    shown = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True, check=True)
    fields = dict(word.partition("=")[::2] for word in shown.stdout.split())
    assert {key: fields[key] for key in fields if key.startswith("TresPer")} == asked
    assert fields["Partition"] == wanted.get("slurm_partition", "main")


def test_a_job_with_a_gpu_sees_one(slurm_node: None) -> None:
    done = subprocess.run(
        ["srun", "--gpus=1", "--mem=100", "--time=2", "bash", "-c", "echo devices $CUDA_VISIBLE_DEVICES"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert re.fullmatch(r"devices \d\s*", done.stdout), done.stdout
