"""Checksums in records and beside files: written with them, and in the form that sha256sum reads."""

import json
import subprocess

import pytest

from lcsc.checksums import read_sums, summed, sums_beside
from lcsc.errors import InputError
from lcsc.files import read_json, sha256_of, write_bytes, write_json, write_text


@pytest.fixture
def sums(tmp_path):
    output = tmp_path / "a b" / "merged.safetensors"
    with summed(output):
        write_bytes(output, b"weights")
        write_text(output.parent / "native" / "ünï.txt", "more")
        write_text(tmp_path / "elsewhere.txt", "not below")
    return sums_beside(output)


def test_all_that_was_written_below_is_named(sums):
    folder = sums.parent
    files = [folder / "merged.safetensors", folder / "native" / "ünï.txt"]
    assert read_sums(sums) == {path: sha256_of(path) for path in files}
    done = subprocess.run(["sha256sum", "--check", sums.name], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_failed_step_leaves_the_checksums_of_what_is_still_there(sums):
    before = sums.read_bytes()

    def fail():
        with summed(sums.with_suffix("")):
            raise RuntimeError("no space")

    with pytest.raises(RuntimeError):
        fail()
    assert sums.read_bytes() == before


@pytest.mark.parametrize("text", ["", "abc", "x" * 64 + "  a\n", "a" * 64 + "  a", "a" * 64 + "  ../a\n"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "a.sha256"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.sha256: "):
        read_sums(path)


def test_a_record_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"score": 1.5, "by_number": {10: "a", 9: "b"}}, kind="thing")
    assert read_json(path, kind="thing")["score"] == 1.5
    path.write_text(path.read_text().replace("1.5", "1.6"))
    with pytest.raises(InputError, match=r"a\.json: its content does not match its checksum"):
        read_json(path, kind="thing")


def test_records_of_the_first_version_have_no_checksum(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"format": "lcsc-thing", "format_version": 1, "score": 1.5}))
    assert read_json(path, kind="thing")["score"] == 1.5
    path.write_text(json.dumps({"format": "lcsc-thing", "format_version": 2, "score": 1.5}))
    with pytest.raises(InputError, match="does not match its checksum"):
        read_json(path, kind="thing")
