"""Files are whole or not there, and say what they are."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from zipfile import BadZipFile

import pytest

from lcsc.errors import InputError, LcscError
from lcsc.files import canonical_json, hash_of, make_folder, read_json, replacing, sha256_of, write_json, write_text
from lcsc.refusals import inside, read_or_refuse


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


@pytest.mark.parametrize("below", ["below", "further/below"])
def test_a_file_in_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / below
    for make in (lambda: write_text(target, "x"), lambda: make_folder(target)):
        with pytest.raises(LcscError) as error:
            make()
        assert str(error.value).startswith(f"{target}: cannot be written (Not a directory")
        assert "\n" not in str(error.value)


def test_a_folder_in_place_of_the_file_is_named_before_the_work(tmp_path):
    (tmp_path / "a.txt").mkdir()

    def fail():
        with replacing(tmp_path / "a.txt"):
            raise AssertionError("the work began")

    with pytest.raises(LcscError, match=r"a\.txt: cannot be written \(Is a directory\); choose another folder"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_without_files_is_named():
    with pytest.raises(LcscError, match=r"^/proc/x\.json: cannot be written \("):
        write_text("/proc/x.json", "x")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EISDIR, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", ["os.fsync", "tempfile.mkstemp", "Path.replace", "Path.mkdir", "Path.write_bytes"])
def test_every_error_of_the_system_is_one_line_and_leaves_what_was_there(tmp_path, monkeypatch, call, number):
    target = tmp_path / "a.txt"
    write_text(target, "before")

    def broken(*arguments, **more):
        raise OSError(number, os.strerror(number))

    module = "lcsc.temporary" if call.startswith("tempfile") else "lcsc.files"
    monkeypatch.setattr(f"{module}.{call}", broken)
    with pytest.raises(LcscError, match=rf"a\.txt: cannot be written \({os.strerror(number)}\)") as error:
        write_text(target, "after")
    monkeypatch.undo()
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_about_another_file_names_that_too(tmp_path):
    def fail():
        with replacing(tmp_path / "a.txt"):
            (tmp_path / "source").read_bytes()

    with pytest.raises(LcscError, match=r"a\.txt: cannot be written \(No such file or directory: .*source\)"):
        fail()


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


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", '"\\ud800"'])
def test_a_number_or_text_changed_into_one_that_json_has_not_is_refused(tmp_path, value):
    write_json(tmp_path / "a.json", {"x": 1.5}, kind="thing")
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("1.5", value))
    with pytest.raises(InputError, match=r"a\.json: its content does not match its checksum"):
        read_json(tmp_path / "a.json", kind="thing")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="not found; expected an lcsc-thing file"):
        read_json(tmp_path / "none.json", kind="thing")


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not found; expected an lcsc-thing file"):
        read_json(tmp_path / "file" / "below.json", kind="thing")
    with pytest.raises(InputError, match="found a folder, expected an lcsc-thing file"):
        read_json(tmp_path, kind="thing")


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), BadZipFile("cut"), EOFError()])
def test_reasons_are_one_line(tmp_path, error):
    def read():
        raise error

    with pytest.raises(InputError, match="cannot be read") as refused:
        read_or_refuse(tmp_path / "a.npz", read, what="images")
    assert "\n" not in str(refused.value)
    assert ("truncated" in str(refused.value)) == (not isinstance(error, PermissionError))


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


@pytest.mark.parametrize("name", ["../evil.pt", "/tmp/evil.pt", "a/../../evil.pt", "", "..", "a\0b"])
def test_names_in_files_do_not_lead_out_of_their_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected one within the folder"):
        inside(tmp_path, name, "recipe.json")


def test_names_within_a_folder_stay(tmp_path: Path) -> None:
    assert inside(tmp_path, "unet/model.safetensors", "recipe.json") == tmp_path / "unet" / "model.safetensors"
