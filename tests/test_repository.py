"""Files that must agree with each other, and what must stay light."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lcsc.config import document, load_config, read_schema

REPOSITORY = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"torch": "pytorch"}
HEAVY = ("torch", "h5py", "scipy", "sklearn", "matplotlib")


def project() -> dict[str, Any]:
    return dict(tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def test_environment_has_the_dependencies_of_the_package() -> None:
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    by_pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    extras = project()["optional-dependencies"]
    used = [text for name in extras if name not in ("browser", "cluster", "test") for text in extras[name]]
    expected = {bound(text) for text in [*project()["dependencies"], *used]}
    expected |= {("python", project()["requires-python"]), ("pip", "")}
    assert {bound(text) for text in [*plain, *by_pip]} == expected
    assert environment["channels"] == ["conda-forge", "bioconda"]


def bound(requirement: str) -> tuple[str, str]:
    found = re.fullmatch(r"([A-Za-z0-9_.-]+?)\s*([<>=!~].*)?", requirement)
    assert found is not None, requirement
    return CONDA_NAMES.get(found[1], found[1]), found[2] or ""


def test_description_of_the_keys_is_current() -> None:
    text = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
    assert text == document(read_schema()), "run: python -m lcsc.config > config/README.md"


def test_benchmark_differs_from_the_main_job_by_its_seeds_alone() -> None:
    main, benchmark = (
        yaml.safe_load((REPOSITORY / "config" / name).read_text(encoding="utf-8"))
        for name in ("config.yaml", "bench-main.yaml")
    )
    assert benchmark.pop("runs") == {f"seed-{seed}": {"train": {"seed": seed}} for seed in range(5)}
    main.pop("runs")
    assert benchmark == main


def test_configurations_are_valid() -> None:
    for path in (REPOSITORY / "config").glob("*.yaml"):
        assert load_config(path)["runs"]


def test_schema_travels_with_the_package() -> None:
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    included = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"workflow/schemas/config.schema.yaml": "lcsc/config.schema.yaml"}


def test_version_is_the_same_everywhere() -> None:
    import lcsc

    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert lcsc.__version__ == project()["version"] == citation["version"]


def imported_by(*arguments: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("arguments", [["-m", "lcsc", "--help"], ["-c", "import lcsc, lcsc.config"]])
def test_help_and_config_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported_by(*arguments).intersection({*HEAVY, "numpy"})


def test_parsing_the_workflow_imports_nothing_heavy() -> None:
    """NumPy is not counted: Snakemake imports it itself."""
    assert not imported_by("-m", "snakemake", "--list-rules").intersection(HEAVY)


def test_help_has_every_step() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lcsc", "--help"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    steps = "data train extractor fetch collect reference baselines search select evaluate export merge report"
    for step in steps.split():
        assert re.search(rf"^\s+{step}\s", done.stdout, re.MULTILINE), step


def test_ci_runs_the_same_targets_as_the_makefile() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    targets = re.findall(r"^ *timed make ([a-z-]+)", script, re.MULTILINE)
    beside = ["test-faults", "lint", "test-browser", "test-slurm"]
    assert targets == [*beside, "test", "extras", "test-workflow", "run"]
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
