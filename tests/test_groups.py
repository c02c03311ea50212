"""Parameter groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc.bank.index import table_of
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
    assert (groups.G, groups.names) == (1, ("all",))
    assert groups.runs == ((0, 15, 0),)


def test_a_group_for_each_tensor() -> None:
    groups = make_groups(TABLE, "tensor")
    assert groups.G == 5
    assert groups.runs == ((0, 3, 0), (3, 9, 1), (9, 13, 2), (13, 15, 4))


def test_blocks_are_the_first_two_levels() -> None:
    groups = make_groups(TABLE, "block")
    assert groups.names == ("body.0", "body.1", "empty", "head")
    assert groups.runs == ((0, 9, 0), (9, 13, 1), (13, 15, 3))
    assert [block_of(name) for name in ("w", "a.w", "a.b.w", "a.b.c.w")] == ["w", "a", "a.b", "a.b"]


def test_patterns_take_the_first_that_fits_and_leave_the_rest() -> None:
    groups = make_groups(TABLE, ["*.bias", "body"])
    assert groups.names == ("*.bias", "body", "rest")
    assert groups.runs == ((0, 3, 0), (3, 13, 1), (13, 15, 2))
    assert make_groups(TABLE, ["body.*", "head", "empty"]).names == ("body.*", "head", "empty")


def test_unknown_kinds_and_patterns_in_vain() -> None:
    with pytest.raises(InputError, match="groups: found 'layer', expected all, tensor, tensor/N, block or a list"):
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
    kind, label = data.draw(
        st.sampled_from([("all", lambda name: "all"), ("tensor", lambda name: name), ("block", block_of)])
    )
    groups = make_groups(table, kind)
    columns = [groups.names[row] for start, stop, row in groups.runs for _ in range(start, stop)]
    expected = [label(entry.name) for entry in table for _ in range(entry.count)]
    assert columns == expected
    assert [start for start, _, _ in groups.runs[1:]] == [stop for _, stop, _ in groups.runs[:-1]]


def test_slices_of_tensors() -> None:
    groups = make_groups(TABLE, "tensor/2")
    assert groups.names == (
        "body.0.bias", "body.0.weight[0:1]", "body.0.weight[1:3]", "body.1.weight", "empty", "head.weight",
    )  # fmt: skip
    assert groups.runs == ((0, 3, 0), (3, 5, 1), (5, 9, 2), (9, 13, 3), (13, 15, 5))
    assert make_groups(TABLE, "tensor/1") == make_groups(TABLE, "tensor")
    with pytest.raises(InputError, match="groups: found 'tensor/0'"):
        make_groups(TABLE, "tensor/0")


@given(st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=6), st.integers(1, 5))
def test_slices_cover_every_column_once_and_are_even(shapes: list[list[int]], most: int) -> None:
    table = table_of([(f"t{k}", tuple(shape), "float32", "combined", ()) for k, shape in enumerate(shapes)])
    groups, whole = make_groups(table, f"tensor/{most}"), make_groups(table, "tensor")
    assert [start for start, _, _ in groups.runs[1:]] == [stop for _, stop, _ in groups.runs[:-1]]
    assert len({row for _, _, row in groups.runs}) == len(groups.runs)
    for start, stop, row in whole.runs:
        shape = table[row].shape
        sizes = [b - a for a, b, _ in groups.runs if start <= a < stop]
        assert sum(sizes) == stop - start
        if len(shape) > 1:
            assert len(sizes) == min(most, shape[0])
            assert max(sizes) - min(sizes) <= table[row].count // shape[0]
