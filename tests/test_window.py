"""Which of a run's checkpoints are taken."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import save_run, weights

from lcsc.checkpoints.base import CheckpointFile
from lcsc.checkpoints.window import Window
from lcsc.collection import collect
from lcsc.errors import InputError

FOLDER = Path("run")
STEPS = st.lists(st.integers(0, 1000), min_size=2, max_size=40, unique=True).map(sorted)


def files(steps: list[int]) -> list[CheckpointFile]:
    return [CheckpointFile(FOLDER / f"{step}.pt", step) for step in steps]


def chosen(steps: list[int], **window: int) -> list[int]:
    return [file.step for file in Window(**window).choose(FOLDER, files(steps))]


def test_spacing_and_number_count_back_from_the_last() -> None:
    tens = list(range(10, 101, 10))
    assert chosen(tens) == tens
    assert chosen(tens, every=30) == [10, 40, 70, 100]
    assert chosen(tens, every=40, to_step=95) == [10, 50, 90]
    assert chosen(tens, count=2) == [10, 100]
    assert chosen(tens, count=4) == [10, 40, 70, 100]
    assert chosen(tens, from_step=25, every=20, count=3) == [40, 60, 100]


@given(STEPS, st.integers(2, 40))
def test_a_number_is_even(steps: list[int], count: int) -> None:
    if count > len(steps):
        with pytest.raises(InputError, match=f"found {len(steps)} checkpoints .* expected at least {count}; lower"):
            chosen(steps, count=count)
        return
    taken = chosen(steps, count=count)
    places = [steps.index(step) for step in taken]
    gaps = {two - one for one, two in pairwise(places)}
    assert (len(taken), taken[0], taken[-1]) == (count, steps[0], steps[-1])
    assert min(gaps) > 0
    assert max(gaps) - min(gaps) <= 1


@given(STEPS, st.integers(1, 300))
def test_spacing_is_kept_and_leaves_out_no_more_than_it_must(steps: list[int], every: int) -> None:
    try:
        taken = chosen(steps, every=every)
    except InputError:
        assert all(steps[-1] - step < every for step in steps)
        return
    assert taken[-1] == steps[-1]
    assert all(two - one >= every for one, two in pairwise(taken))
    for step in set(steps) - set(taken):
        later = min(other for other in taken if other > step)
        assert later - step < every


def test_a_window_that_is_too_narrow() -> None:
    with pytest.raises(InputError, match=r"found 1 checkpoints from step 10 to 30, expected at least two"):
        chosen([10, 20, 30], every=100)
    with pytest.raises(InputError, match="count: found 1, expected at least two"):
        chosen([10, 20, 30], count=1)


def test_a_bank_of_some(tmp_path: Path) -> None:
    save_run(tmp_path / "run", [weights(k) for k in range(9)])
    assert collect(tmp_path / "run", tmp_path / "bank", every=20, count=3).steps == [10, 50, 90]
