"""Temporary files: those of killed writers go, those of living ones stay."""

import subprocess
import sys

import pytest

from lcsc.files import replacing, write_text


def abandoned(target):
    """A temporary file of ``target`` whose writer was killed."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom lcsc.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -9
    (path,) = target.parent.glob("*.part")
    return path


@pytest.mark.parametrize("name", ["a.txt", "ä b [1]*.txt"])
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path, name):
    target = tmp_path / name
    assert abandoned(target).read_text() == "half"
    assert not target.exists()
    write_text(tmp_path / "other.txt", "another file's writer looks after its own")
    assert len(list(tmp_path.glob("*.part"))) == 1
    write_text(target, "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "other.txt"])


def test_what_a_living_writer_has_stays(tmp_path):
    target = tmp_path / "a.txt"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            assert second != first
            assert first.read_text() == "first"
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    def unsupported(handle, operation):
        raise OSError("no locks")

    left = abandoned(tmp_path / "a.txt")
    monkeypatch.setattr("lcsc.temporary.fcntl.flock", unsupported)
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([left, tmp_path / "a.txt"])
