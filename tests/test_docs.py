"""The code in the docs runs."""

import re
from pathlib import Path

import pytest
import yaml

from lcsc.bank import Bank
from lcsc.collection import collect

DOCS = Path(__file__).resolve().parent.parent / "docs"


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}


def test_links_between_pages_lead_somewhere():
    for page in (DOCS.parent / "README.md", *DOCS.glob("*.md")):
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), f"{page.name}: {target}#{anchor}"


def test_the_index_leads_to_every_page():
    made = {"index.md"}  # itself
    targets = set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8")))
    assert targets == {page.name for page in DOCS.glob("*.md")} - made


def test_files_that_the_pages_name_are_there():
    for page in DOCS.glob("*.md"):
        for name in re.findall(r"`((?:lcsc|tests|workflow)/[\w/.]*)`", page.read_text(encoding="utf-8")):
            assert (DOCS.parent / name).exists(), f"{page.name}: {name}"


def test_the_errors_of_the_faq_are_ones_that_there_are():
    text = (DOCS / "faq.md").read_text(encoding="utf-8").partition("## Errors")[2]
    messages = [
        found for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for found in re.findall("`(.*?)`", row)
    ]
    assert len(messages) > 10
    source = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "lcsc").rglob("*.py"))
    source = re.sub(r'"\n\s*f?"', "", source)  # strings that go on in the next line
    words = {"found no checkpoints": 'else "no checkpoints"', "found one checkpoint": 'f"one checkpoint ('}
    for message in messages:
        if message != "Directory cannot be locked":  # Snakemake's
            assert words.get(message, message) in source, message


def test_the_figures_that_are_described_are_made():
    config = yaml.safe_load((DOCS.parent / "config" / "figures.yaml").read_text(encoding="utf-8"))
    text = (DOCS / "reproducing-the-paper.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (`.*?) \| `?", text.partition("## What the figures")[2].partition("## The claims")[0], re.MULTILINE
    )
    assert {name for row in rows for name in re.findall("`(.*?)`", row)} == set(config["figures"])
    kinds = re.findall(r"^\| `([a-z-]+)` \|", text.partition("## The claims")[2], re.MULTILINE)
    assert set(kinds) >= {claim["measure"]["kind"] for claim in config["claims"]}


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
