"""The code in the docs runs."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from lcsc.bank import Bank
from lcsc.collection import collect
from lcsc.evaluation import Score
from lcsc.search import SEARCHES, SearchSpace, make_search
from lcsc.search.driver import run_generations
from lcsc.search.generations import chain_paths, read_chain

DOCS = Path(__file__).resolve().parent.parent / "docs"
SPACE = SearchSpace((10, 20, 30), groups=2)
SETTINGS = {"method": "hill-climbing", "seed": 0, "step": 0.1}
ABOUT = {"method": "hill-climbing", "search": "own", "protocol": "p", "bank": "b", "settings": SETTINGS}


@pytest.fixture
def registry():
    before = dict(SEARCHES)
    yield SEARCHES
    SEARCHES.clear()
    SEARCHES.update(before)


def score_all(candidates, journal, wants_gradients, done):
    return [Score(float(np.square(c.coefficients - [[2, -2, 1], [0, 0, 1]]).sum())) for c in candidates]


def test_a_method_of_one_s_own_runs_as_the_page_says(registry, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "search-methods.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "search-methods.md", "exec"), {})
    for folder, rounds in (("once", [(0, 60)]), ("rounds", [(0, 7), (7, 20), (27, 33)])):
        for first, count in rounds:
            search = make_search(SETTINGS, SPACE)
            run_generations(search, score_all, tmp_path / folder, first=first, count=count, about=ABOUT)
    once, rounds = (chain_paths(tmp_path / folder, 60) for folder in ("once", "rounds"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in rounds]
    scores = [generation.scored[0].score for generation in read_chain(once)]
    assert min(scores) < 0.3 * scores[0]


def test_links_between_pages_lead_somewhere():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_loops_of_the_recorder_page_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "recorder.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(loop, "recorder.md", "exec"), {})
    bank = Bank.open("runs/mine/bank", verify=True)
    assert bank.steps == list(range(50, 1001, 50))
    (section,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    folder = yaml.safe_load(section)["runs"]["mine"]["checkpoints"]["folder"]
    assert collect(folder, "copy").identity == bank.identity


@pytest.mark.filterwarnings("ignore")
def test_the_lightning_callback_of_the_recorder_page_is_there(tmp_path, monkeypatch):
    pytest.importorskip("lightning.pytorch", reason="needs the extra 'lightning'")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(
        r"```python lightning\n(.*?)```", (DOCS / "recorder.md").read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, object] = {}
    exec(compile(code, "recorder.md", "exec"), names)
    assert names["trainer"].callbacks
