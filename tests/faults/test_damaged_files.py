"""`lcsc verify` finds every changed byte, in files of all kinds; truncated and foreign files are named in one line."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lcsc.verification import verify

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

TRIES = 1000
SEED = 17


@pytest.fixture
def kinds(finished: Callable[..., Path]) -> dict[str, list[Path]]:
    """All files of a finished run by kind: the folder's name, and how the file's name ends."""
    root = finished() / "results"
    assert verify([root]).problems == []
    found: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            found.setdefault(kind_of(path), []).append(path)
    return found


def kind_of(path: Path) -> str:
    return f"{path.parent.name}/*{path.suffix}"


@contextmanager
def flipped(path: Path, place: int, bits: int) -> Iterator[None]:
    """One byte of the file is another one as long as the block lasts."""
    with path.open("r+b", buffering=0) as stream:
        whole = os.pread(stream.fileno(), 1, place)
        os.pwrite(stream.fileno(), bytes([whole[0] ^ bits]), place)
        yield
        os.pwrite(stream.fileno(), whole, place)


def test_every_file_of_a_run_has_a_checksum(kinds: dict[str, list[Path]]) -> None:
    outcome = verify(path for paths in kinds.values() for path in paths)
    assert outcome.unknown == []
    assert outcome.checked == sum(map(len, kinds.values()))


def test_every_single_flipped_byte_is_found(kinds: dict[str, list[Path]]) -> None:
    """So many tries for each kind of file, each at a random byte of a random file of the kind."""
    random, found = np.random.default_rng(SEED), Counter[str]()
    for kind, paths in kinds.items():
        sizes = [path.stat().st_size for path in paths]
        for which in random.integers(len(paths), size=TRIES):
            with flipped(paths[which], int(random.integers(sizes[which])), int(random.integers(1, 256))):
                problems = verify([paths[which]]).problems
            found[kind] += bool(problems) and all("\n" not in problem for problem in problems)
    print(f"{found.total()} of {TRIES * len(kinds)} found, {TRIES} of each of {len(kinds)} kinds: {', '.join(kinds)}")
    assert found == dict.fromkeys(kinds, TRIES)
    assert verify(path for paths in kinds.values() for path in paths).problems == []


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_truncated_files_are_named(kinds: dict[str, list[Path]], share: float) -> None:
    """Nothing left, half of it, all but the last byte. A journal may end after any of its lines."""
    for kind, paths in kinds.items():
        whole = paths[0].read_bytes()
        left = whole[: int(share * (len(whole) - 1))]
        paths[0].write_bytes(left)
        problems = verify([paths[0]]).problems
        paths[0].write_bytes(whole)
        in_order = kind == "journal/*.jsonl" and (not left or left.endswith(b"\n"))
        assert len(problems) == (0 if in_order else 1), (kind, problems)
        assert all("\n" not in problem for problem in problems)


def test_files_of_another_kind_are_named(kinds: dict[str, list[Path]]) -> None:
    """Each kind's file with the content of the next kind's."""
    names = sorted(kinds)
    contents = {name: kinds[name][0].read_bytes() for name in names}
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        path = kinds[name][0]
        path.write_bytes(contents[other])
        problems = verify([path]).problems
        path.write_bytes(contents[name])
        assert problems or contents[name] == contents[other], (name, other)
        assert all("\n" not in problem for problem in problems)
