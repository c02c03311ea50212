"""Files are whole or not there, and say what they are."""

import errno
import json
import resource
import subprocess
import sys

import pytest

from lcsc.errors import InputError, LcscError
from lcsc.files import canonical_json, hash_of, read_json, replacing, sha256_of, write_json, write_text


def test_a_failed_write_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "before")

    def fail():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named_and_leaves_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "before")

    def fail():
        with replacing(target):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LcscError, match=r"a\.txt: cannot be written \(No space left on device\)"):
        fail()
    assert target.read_text() == "before"


def test_a_real_write_limit_leaves_what_was_there(tmp_path):
    """The kernel's own refusal (RLIMIT_FSIZE), in a process of its own."""
    target = tmp_path / "a.bin"
    target.write_bytes(b"before")
    code = (
        "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from lcsc.files import write_bytes\nfrom lcsc.errors import LcscError\n"
        f"try:\n    write_bytes({str(target)!r}, b'x' * 100000)\n"
        "except LcscError as error:\n    sys.exit(str(error))\n"
    )
    limit = (4096, 4096)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert "cannot be written" in done.stderr
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((LcscError, NotADirectoryError, FileExistsError)):
        write_text(tmp_path / "file" / "below", "x")


def test_records_say_what_they_are(tmp_path):
    write_json(tmp_path / "a.json", {"value": 0.1}, kind="thing")
    record = read_json(tmp_path / "a.json", kind="thing")
    assert record["value"] == 0.1
    assert record["format"] == "lcsc-thing"
    with pytest.raises(InputError, match="found format 'lcsc-thing', expected 'lcsc-other'"):
        read_json(tmp_path / "a.json", kind="other")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"format": 3}'])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(tmp_path / "a.json", kind="thing")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="not found; expected an lcsc-thing file"):
        read_json(tmp_path / "none.json", kind="thing")


def test_json_is_canonical_and_exact():
    assert canonical_json({"b": 1, "a": [0.1]}) == '{"a":[0.1],"b":1}'
    value = 0.1 + 0.2
    assert json.loads(canonical_json(value)) == value
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})
