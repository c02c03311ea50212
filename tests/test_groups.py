"""Parameter groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.bank_index import table_of
from lcsc.errors import InputError
from lcsc.groups import block_of, make_groups

TABLE = table_of(
    [
        ("body.0.bias", (3,), "float32", "combined", ()),
        ("body.0.weight", (3, 2), "float32", "combined", ()),
        ("body.1.weight", (4,), "float32", "combined", ()),
        ("count", (), "int64", "counter", ()),
        ("empty", (0,), "float32", "combined", ()),
        ("head.weight", (2,), "float32", "combined", ()),
    ]
)


def test_one_group_for_all() -> None:
    groups = make_groups(TABLE, "all")
    assert (groups.G, groups.names, groups.rows) == (1, ("all",), (0, 0, 0, 0, 0))
    assert groups.runs == ((0, 15, 0),)


def test_a_group_for_each_tensor() -> None:
    groups = make_groups(TABLE, "tensor")
    assert groups.G == 5
    assert groups.rows == (0, 1, 2, 3, 4)
    assert groups.runs == ((0, 3, 0), (3, 9, 1), (9, 13, 2), (13, 15, 4))


def test_blocks_are_the_first_two_levels() -> None:
    groups = make_groups(TABLE, "block")
    assert groups.names == ("body.0", "body.1", "empty", "head")
    assert groups.runs == ((0, 9, 0), (9, 13, 1), (13, 15, 3))
    assert [block_of(name) for name in ("w", "a.w", "a.b.w", "a.b.c.w")] == ["w", "a", "a.b", "a.b"]


def test_patterns_take_the_first_that_fits_and_leave_the_rest() -> None:
    groups = make_groups(TABLE, ["*.bias", "body"])
    assert groups.names == ("*.bias", "body", "rest")
    assert groups.rows == (0, 1, 1, 2, 2)
    assert make_groups(TABLE, ["body.*", "head", "empty"]).names == ("body.*", "head", "empty")


def test_unknown_kinds_and_patterns_in_vain() -> None:
    with pytest.raises(InputError, match="groups: found 'layer', expected all, tensor, block or a list"):
        make_groups(TABLE, "layer")
    with pytest.raises(InputError, match=r"'body\.0' is the first fit of no tensor"):
        make_groups(TABLE, ["body", "body.0"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), min_size=1, max_size=12), st.data())
def test_runs_cover_every_column_once_with_the_tensor_s_row(
    tensors: list[tuple[str, int]], data: st.DataObject
) -> None:
    table = table_of(
        [(f"{block}.{k}.w", (size,), "float32", "combined", ()) for k, (block, size) in enumerate(tensors)]
    )
    groups = make_groups(table, data.draw(st.sampled_from(["all", "tensor", "block"])))
    columns = [row for start, stop, row in groups.runs for _ in range(start, stop)]
    expected = [row for entry, row in zip(table, groups.rows, strict=True) for _ in range(entry.count)]
    assert columns == expected
    assert [start for start, _, _ in groups.runs[1:]] == [stop for _, stop, _ in groups.runs[:-1]]
