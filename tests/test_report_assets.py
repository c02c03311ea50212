"""The libraries that are embedded in pages, and data between the tags of a script."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import lcsc.report
from lcsc.report.assets import json_block

VENDOR = Path(lcsc.report.__file__).parent / "web" / "vendor"
TABLE = re.findall(r"^\| `([\w.]+\.js)` \|.*\| `(\w{64})` \|$", (VENDOR / "README.md").read_text("utf-8"), re.MULTILINE)


def test_the_table_names_every_library():
    assert sorted(name for name, _ in TABLE) == sorted(path.name for path in VENDOR.glob("*.js"))


@pytest.mark.parametrize(("name", "expected"), TABLE)
def test_libraries_are_the_published_files(name, expected):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected


@pytest.mark.parametrize("text", ["</script><script>alert(1)", "<!--", "]]>", "\u2028 \u2029", "&lt;", "'\"\\"])
def test_no_text_ends_a_block_of_data(text):
    block = str(json_block({"name": text}))
    assert json.loads(block) == {"name": text}
    assert not set("<>\u2028\u2029") & set(block)
