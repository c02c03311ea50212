"""The journal keeps what was done, and only that."""

import errno
import os

import numpy as np
import pytest

from lcsc.errors import LcscError
from lcsc.evaluation import Score
from lcsc.search.base import Candidate
from lcsc.search.journal import Journal, damaged_lines

PROTOCOL = "p" * 64


def candidate(value):
    return Candidate(np.array([[value, 1 - value]]), "mutation")


def test_scores_are_there_again(tmp_path):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5, None, 0.1))
    journal.add(candidate(0.5), Score(None, "images are not finite", 0.1))
    again = Journal(tmp_path, PROTOCOL)
    assert len(again) == 2
    assert again.get(candidate(0.25)) == Score(1.5, None, 0.1)
    assert again.get(candidate(0.5)) == Score(None, "images are not finite", 0.1)
    assert again.get(candidate(0.75)) is None


def test_a_line_cut_off_by_a_kill_is_skipped(tmp_path):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5))
    journal.add(candidate(0.5), Score(2.5))
    journal.path.write_bytes(journal.path.read_bytes()[:-20])
    assert damaged_lines(journal.path.read_bytes()) == [2]
    again = Journal(tmp_path, PROTOCOL)
    assert again.get(candidate(0.25)) == Score(1.5)
    assert again.get(candidate(0.5)) is None
    again.add(candidate(0.5), Score(2.5))
    assert Journal(tmp_path, PROTOCOL).get(candidate(0.5)) == Score(2.5)
    assert damaged_lines(journal.path.read_bytes()) == []


def test_a_whole_line_that_lacks_its_end_alone_is_kept(tmp_path):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5))
    before = journal.path.read_bytes()
    journal.path.write_bytes(before[:-1])
    assert Journal(tmp_path, PROTOCOL).get(candidate(0.25)) == Score(1.5)
    assert journal.path.read_bytes() == before


def test_every_flipped_byte_is_noticed(tmp_path):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5))
    content = journal.path.read_bytes()
    for position in range(len(content) - 1):
        damaged = bytearray(content)
        damaged[position] ^= 1
        journal.path.write_bytes(bytes(damaged))
        assert damaged_lines(bytes(damaged)) == [1], position
        found = Journal(tmp_path, PROTOCOL).get(candidate(0.25))
        assert found in (None, Score(1.5)), position


def test_another_protocol_has_another_journal(tmp_path):
    Journal(tmp_path, PROTOCOL).add(candidate(0.25), Score(1.5))
    assert Journal(tmp_path, "q" * 64).get(candidate(0.25)) is None


def test_a_full_disk_is_named_and_the_score_is_not_taken_as_kept(tmp_path, monkeypatch):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5))
    before = journal.path.read_bytes()

    def full(handle, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lcsc.search.journal.os.write", full)
    with pytest.raises(LcscError, match=r"jsonl: cannot be written \(No space left on device\)"):
        journal.add(candidate(0.5), Score(2.5))
    assert journal.get(candidate(0.5)) is None
    assert journal.path.read_bytes() == before


def test_scores_with_gradients_are_kept_apart(tmp_path):
    journal = Journal(tmp_path, PROTOCOL)
    journal.add(candidate(0.25), Score(1.5))
    assert journal.get(candidate(0.25), with_gradient=True) is None
    journal.add(candidate(0.25), Score(1.5000001, gradient=np.array([[0.1, 1 / 3]])), with_gradient=True)
    again = Journal(tmp_path, PROTOCOL)
    assert again.get(candidate(0.25)).value == 1.5
    assert again.get(candidate(0.25)).gradient is None
    assert again.get(candidate(0.25), with_gradient=True).value == 1.5000001
    np.testing.assert_array_equal(again.get(candidate(0.25), with_gradient=True).gradient, [[0.1, 1 / 3]])


@pytest.mark.parametrize("folder", ["file", "file/journal", "/proc/journal"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(LcscError, match=r"(file|journal): cannot be written \(.*\); choose another folder") as error:
        Journal(tmp_path / folder, PROTOCOL)
    assert "\n" not in str(error.value)


def test_a_journal_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / f"{PROTOCOL[:16]}.jsonl").mkdir()
    with pytest.raises(LcscError, match=r"jsonl: cannot be read \(Is a directory\)"):
        Journal(tmp_path, PROTOCOL)
