"""The README's Python and commands do what they say, on a tiny run."""

import re
from pathlib import Path

import pytest
import yaml

from lcsc import layout
from lcsc.cli import build_parser
from lcsc.config import resolve

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def results(tiny_run, tmp_path, monkeypatch):
    """A folder as after `make run`, with the tiny run in the place of the digits."""
    from tiny import EXTRACTOR, SCORING

    raw = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    raw["defaults"].update({key: SCORING[key] for key in ("network", "preconditioning", "sampler")})
    raw["defaults"]["evaluation"] |= SCORING["evaluation"]
    for extractor in raw["extractors"].values():
        extractor |= EXTRACTOR
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/config.yaml").write_text(yaml.safe_dump(raw))
    config = resolve(raw)
    places = {
        layout.extractor_file(config, "digits", "search"): "cnn.safetensors",
        layout.reference_file(config, "digits", "search", "train"): "train.cnn.h5",
        "results/digits/bank": "bank",
    }
    for place, source in places.items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).symlink_to(tiny_run.folder / source)
    return tmp_path


def test_the_quick_start_runs(results, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    out = capsys.readouterr().out
    assert "K = 8 checkpoints" in out
    assert "in 60 evaluations" in out
    assert set(names["state"]) >= {"enter.weight", "leave.bias"}
    assert names["found"].score <= names["penalised"](names["average"])


def test_a_run_that_is_not_there_is_named(results):
    from lcsc import InputError, RunScorer

    with pytest.raises(InputError, match="found no run 'faces', expected one of digits"):
        RunScorer("config/config.yaml", "faces")


def test_rows_for_groups_are_scored_and_checked(results):
    import numpy as np

    from lcsc import InputError, RunScorer, ema_shaped

    one = RunScorer("config/config.yaml", "digits", images=60)
    each = RunScorer("config/config.yaml", "digits", images=60, groups="tensor")
    row = ema_shaped(one.bank.steps, 0.97)
    assert each(np.repeat(row, each.groups.G, axis=0)) == one(row)
    with pytest.raises(InputError, match=r"coefficients: found shape \[1, 8\], expected \[\d+ groups, 8 checkpoints\]"):
        each(row)


def test_commands_of_the_readme_exist():
    steps = set(re.findall(r"`lcsc ([a-z]+)[ `]", README)) | set(re.findall(r"^lcsc ([a-z]+)", README, re.MULTILINE))
    assert len(steps) > 10
    helped = build_parser().format_help()
    for step in steps:
        assert re.search(rf"^ +{step}\b", helped, re.MULTILINE), step


def test_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_public_names_are_there():
    import lcsc

    for name in lcsc.__all__:
        assert getattr(lcsc, name) is not None
    assert set(lcsc._HOMES) | {"__version__"} == set(lcsc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lcsc.nothing


def test_every_file_that_the_readme_shows_or_links_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert {"docs/images/result.svg", "docs/images/images.png", "config/README.md"} <= set(local)
    for link in local:
        assert (ROOT / link).is_file(), link
