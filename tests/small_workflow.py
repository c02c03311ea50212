"""A workflow small enough for tests, and how to run it with Snakemake in a folder of its own."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
SNAKEFILE = REPOSITORY / "workflow" / "Snakefile"
SEARCH = "results/tiny/search/evolution"

_TRAINED = {"data": "digits", "steps": 20, "batch": 32}
CONFIG: dict[str, Any] = {
    "device": "cpu",
    "data": {"digits": {"source": "digits", "held_out": 600}},
    "extractors": {
        "cnn": {**_TRAINED, "architecture": "cnn", "dimension": 8, "seed": 1},
        "mlp": {**_TRAINED, "architecture": "mlp", "dimension": 8, "seed": 7},
    },
    "defaults": {
        "data": "digits",
        "network": {
            "factory": "lcsc.generators.networks:ResidualMLP",
            "args": {"image_shape": [1, 8, 8], "width": 16, "depth": 1},
            "image_shape": [1, 8, 8],
        },
        "train": {
            **{"steps": 40, "batch": 32, "save_from": 22, "save_every": 2, "ema_rates": [0.8, 0.9]},
            **{"power_ema": [0.05, 0.1], "continue": 8},
        },
        "extractors": {"search": "cnn", "held_out": "mlp"},
        "evaluation": {
            "chunk": 32,
            "search": {"images": 64},
            "selection": {"images": 64},
            "report": {"images": 64, "blocks": 2},
        },
        "baselines": {"ema_shaped": [0.8, 0.9], "windows": [3, 5], "post_hoc": [0.05, 0.12]},
        "fine_tune": {"adam": {"rates": [0.0003, 0.001], "gradients": 3, "initial_rates": [0.9]}},
        "searches": {
            "evolution": {
                "generations": 3,
                "generations_per_round": 2,
                "population": 6,
                "parents": 3,
                "initial_rates": [0.8, 0.9],
                "finalists": 3,
            },
            "tensor": {
                "method": "gradient",
                "groups": "tensor",
                "generations": 5,
                "generations_per_round": 3,
                "initial_rates": [0.9],
                "finalists": 2,
            },
        },
    },
    "runs": {"tiny": {}},
}


def small_config(generations: int = 3, per_round: int = 2, images: int = 64) -> dict[str, Any]:
    """The configuration with another extent of the search."""
    config = copy.deepcopy(CONFIG)
    config["defaults"]["searches"]["evolution"] |= {
        "generations": generations,
        "generations_per_round": per_round,
    }
    config["defaults"]["evaluation"]["search"]["images"] = images
    return config


def command(folder: Path, config: Mapping[str, Any], *arguments: str, cores: int = 2) -> list[str]:
    """The Snakemake command that runs the workflow with ``config`` in ``folder``."""
    path = folder / "given.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--directory", str(folder)]
    return [*snakemake, "--cores", str(cores), *arguments, "--configfile", str(path)]


def make_inputs(folder: Path, config: Mapping[str, Any]) -> None:
    """Empty files where ``config`` expects images, statistics and checkpoints of one's own, which a plan needs."""
    wanted = [entry.get(key) for entry in config["data"].values() for key in ("path", "held_out_path")]
    for entry in config["data"].values():
        given = (entry.get("statistics") or {}).values()
        wanted += [part["path"] for parts in given for part in parts.values() if part]
    sections = [config.get("defaults", {}), *config["runs"].values()]
    wanted += [run.get("checkpoints", {}).get("folder") for run in sections]
    for path in filter(None, wanted):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def environment() -> dict[str, str]:
    """The environment of a user's shell: the package in ``sys.path`` need not be the installed one."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def without_network() -> list[str]:
    """What stands before a command that is to run where there is no network; nothing where the system forbids that."""
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words
    return []


def run_workflow(
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    cores: int = 2,
    check: bool = True,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the workflow in ``folder``, with words ``before`` the command; stdout and stderr come back together."""
    done = subprocess.run(
        [*before, *command(folder, config, *arguments, cores=cores)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done


def generation_paths(count: int) -> list[str]:
    """The files of the first ``count`` generations, from the workflow's folder."""
    return [f"{SEARCH}/generation-{index:04d}.json" for index in range(count)]


def generation_bytes(folder: Path, count: int) -> list[bytes]:
    """What the first ``count`` generations hold."""
    return [(folder / path).read_bytes() for path in generation_paths(count)]
