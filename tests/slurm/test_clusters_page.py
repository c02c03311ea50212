"""The commands of docs/clusters.md are taken by Snakemake and the profile's executor, as dry runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from one_node import shell_environment
from small_workflow import REPOSITORY, small_config

from lcsc.config import resolve

pytestmark = pytest.mark.slurm
PAGE = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("snakemake ")]
    return list(dict.fromkeys(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a user has it: the workflow, a configuration, and a copy of the profile."""
    place = tmp_path_factory.mktemp("user")
    (place / "workflow").symlink_to(REPOSITORY / "workflow")
    shutil.copytree(REPOSITORY / "workflow" / "profiles" / "slurm", place / "my-profile")
    config = small_config()
    config["defaults"]["searches"]["evolution"]["shards"] = 4
    (place / "my.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return place


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_page_is_taken(command: str, folder: Path) -> None:
    words = shlex.split(command)
    done = subprocess.run(
        words if "--unlock" in words else [*words, "--dry-run"],
        cwd=folder,
        env=shell_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout


def test_the_page_s_requests_for_gpus_are_valid() -> None:
    requests = re.findall(r"^ *\| [^|]+ \| `(\{.+\})` \|", PAGE, re.MULTILINE)
    assert len(requests) > 3
    for request in requests:
        given = yaml.safe_load(request)
        assert resolve({**small_config(), "gpu_resources": given})["gpu_resources"] == given


def test_the_page_s_searches_are_valid() -> None:
    (section,) = (yaml.safe_load(block) for block in blocks("yaml") if "searches" in block)
    config = small_config()
    config["defaults"]["searches"] = section["defaults"]["searches"]
    assert set(resolve(config)["runs"]["tiny"]["searches"]) == {"evolution", "tensor"}
