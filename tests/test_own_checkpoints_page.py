"""The configurations on the page about one's own checkpoints are accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lcsc.config import resolve

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "your-own-checkpoints.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_the_ten_lines_are_a_whole_configuration_and_those_of_the_readme():
    run = resolve(BLOCKS[0])["runs"]["mine"]
    assert run["checkpoints"]["count"] == 50
    assert run["searches"]["gradient-tensor"]["groups"] == "tensor"
    (shown,) = re.findall(r"```yaml\n(data:.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert yaml.safe_load(shown) == BLOCKS[0]


@pytest.mark.parametrize("sections", BLOCKS[1:], ids=lambda sections: sections["checkpoints"]["folder"])
def test_each_family_s_example_is_accepted_in_their_place(sections):
    config = {**BLOCKS[0], "defaults": {**BLOCKS[0]["defaults"], **sections}}
    if sections.get("preconditioning", {}).get("kind", "consistency") != "consistency":
        assert "sampler" in sections
    run = resolve(config)["runs"]["mine"]
    assert run["checkpoints"]["folder"] == sections["checkpoints"]["folder"]
