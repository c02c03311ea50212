"""A bank that is streamed: the same bytes as one in memory, read ahead, and what goes wrong on the way."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import make_bank

from lcsc.bank import Bank
from lcsc.bank import combination as module
from lcsc.bank.blocks import Block, read_ahead, tiles_of
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.extents import Extents
from lcsc.bank.gram import centred_gram
from lcsc.bank.index import Storage, read_index
from lcsc.bank.memory import TILE
from lcsc.bank.writer import bank_writer
from lcsc.errors import InputError
from lcsc.groups import make_groups


def grown(folder: Path, shapes: dict[str, tuple[int, ...]], sizes: list[int], storage: Storage) -> Bank:
    """A bank of segments with ``sizes`` checkpoints each, which walk away from where they began."""
    like = make_bank(folder / "like", 2, shapes)
    rng, previous, step = np.random.default_rng(0), None, 0
    vector = rng.standard_normal(like.P)
    (folder / "bank").mkdir()
    for size in sizes:
        with bank_writer(folder / "bank", size, previous, storage) as writer:
            for _ in range(size):
                step += 1
                vector = vector + 0.01 * rng.standard_normal(like.P)
                writer.add(vector.astype(np.float32), step=step, source="x", sha256="0" * 64)
            writer.finish(like.tensors, like.others(), prefix=like.prefix, container=like.container)
        previous = read_index(folder / "bank")
    return Bank.open(folder / "bank")


@settings(max_examples=10, deadline=None)
@given(
    widths=st.lists(st.sampled_from([1, 2, 7, TILE - 1, TILE, 20_011]), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    storage=st.sampled_from(["float32", "differences"]),
    candidates=st.integers(0, 4),
    kind=st.sampled_from(["all", "tensor"]),
    threads=st.sampled_from([1, 2, 3]),
    tiles=st.sampled_from([1, 2, 8]),
)
def test_streamed_and_resident_are_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    widths: list[int],
    sizes: list[int],
    storage: Storage,
    candidates: int,
    kind: str,
    threads: int,
    tiles: int,
) -> None:
    shapes = {f"layer{place}.w": (width,) for place, width in enumerate(widths)}
    bank = grown(tmp_path_factory.mktemp("bank"), shapes, sizes, storage)
    resident, groups = bank.resident(), make_groups(bank.tensors, kind)
    rng = np.random.default_rng(1)
    alpha, slopes = rng.standard_normal((candidates, groups.G, bank.K)), rng.standard_normal(bank.P)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lcsc.bank.bank.block_columns", lambda *_: tiles * TILE)
        assert combine(bank, alpha, groups, threads).tobytes() == combine(resident, alpha, groups).tobytes()
        found = coefficient_gradient(bank, slopes, groups)
        assert found.tobytes() == coefficient_gradient(resident, slopes, groups).tobytes()
        assert centred_gram(bank, groups).tobytes() == centred_gram(resident, groups).tobytes()
    shutil.rmtree(bank.path)


@pytest.mark.parametrize("candidates", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 50, 257])
def test_the_compiled_product_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, candidates: int
) -> None:
    bank = grown(tmp_path, {"a": (TILE + 5,), "b": (), "c": (601,)}, [count], "float32").resident()
    groups = make_groups(bank.tensors, "tensor")
    alpha = np.random.default_rng(2).standard_normal((candidates, groups.G, count))
    alpha[0, 1] = np.eye(count)[0]
    monkeypatch.setattr(module, "WORTH", 0)
    if count <= 256 and (candidates == 1 or candidates % 2 == 0) and module._product(count, candidates) is None:
        pytest.skip("the BLAS of this machine takes another order than the compiled product, which is not used")
    fast = combine(bank, alpha, groups)
    monkeypatch.setattr(module, "_product", lambda *_: None)
    assert combine(bank, alpha, groups).tobytes() == fast.tobytes()


@pytest.mark.parametrize("candidates", [1, 2, 6, 32])
def test_the_compiled_product_is_that_of_float64_to_the_last_bit_but_one(candidates: int) -> None:
    fused = pytest.importorskip("lcsc.bank.fused")
    rng = np.random.default_rng(3)
    weights, factors = rng.standard_normal((21, 5000), dtype=np.float32), rng.standard_normal((max(candidates, 2), 21))
    merged = np.full((candidates, 5010), np.nan)
    product = fused._PRODUCTS[candidates == 1]
    product(weights, 3, 4990, 20, factors, factors.sum(axis=1), merged, 7)
    exact = factors[:candidates].astype(np.longdouble) @ weights[:, 3:4993].astype(np.longdouble)
    np.testing.assert_allclose(merged[:, 7:4997], exact, rtol=0, atol=1e-13)
    assert np.isnan(merged[:, :7]).all()
    assert np.isnan(merged[:, 4997:]).all()


def test_tiles_and_their_pieces_cover_all_columns_once(tmp_path: Path) -> None:
    shapes = {"a": (TILE - 1,), "b": (1,), "c": (3 * TILE + 2,), "d": (), "e": (5,)}
    bank = make_bank(tmp_path, 2, shapes)
    runs = make_groups(bank.tensors, "tensor").runs
    found = [tile for block in bank.stream(2 * TILE) for tile in tiles_of(block, runs)]
    assert [tile.columns.start for tile in found] == list(range(0, bank.P, TILE))
    pieces = [piece for tile in found for piece in tile.pieces]
    assert [start for start, _, _ in pieces] == [0, *(stop for _, stop, _ in pieces[:-1])]
    assert pieces[-1][1] == bank.P
    for start, stop, row in pieces:
        assert any(first <= start and stop <= last and row == group for first, last, group in runs)


def test_the_next_block_is_read_while_one_is_worked_on() -> None:
    reading = threading.Event()

    def fill(buffer: np.ndarray, start: int, stop: int) -> None:
        buffer[:, : stop - start] = start
        if start == 4:
            reading.set()

    blocks = read_ahead(fill, 3, 10, 4)
    first = next(blocks)
    assert reading.wait(10)
    assert (first.weights == 0).all()
    rest = [(block.columns, float(block.weights[0, 0])) for block in blocks]
    assert rest == [(slice(4, 8), 4.0), (slice(8, 10), 8.0)]


def test_what_the_reader_raises_comes_out_where_its_block_is_asked_for() -> None:
    def fill(buffer: np.ndarray, start: int, stop: int) -> None:
        if start == 8:
            raise InputError("segment-0001.h5: cannot be read")

    before = threading.active_count()
    blocks = read_ahead(fill, 3, 10, 4)
    assert [next(blocks).columns.start for _ in range(2)] == [0, 4]
    with pytest.raises(InputError, match=r"segment-0001\.h5"):
        next(blocks)
    assert threading.active_count() == before


def test_a_segment_that_is_cut_while_it_is_read_is_one_error(tmp_path: Path) -> None:
    bank = grown(tmp_path, {"a": (5 * 65_536,)}, [2, 1], "float32")
    before, blocks = threading.active_count(), bank.blocks()
    next(blocks)
    with (bank.path / "segment-0001.h5").open("r+b") as file:
        file.truncate(3 * 4 * 65_536)
    with pytest.raises(InputError, match=r"segment-0001\.h5: cannot be read \(.*\); collect it again") as error:
        list(blocks)
    assert "\n" not in str(error.value)
    assert threading.active_count() == before


def test_threads_that_read_apart_raise_one_error_and_end(tmp_path: Path) -> None:
    bank = grown(tmp_path, {"a": (5 * 65_536,)}, [2, 1], "float32")

    def cut(block: Block) -> None:
        with (bank.path / "segment-0001.h5").open("r+b") as file:
            file.truncate(3 * 4 * 65_536)

    before = threading.active_count()
    with pytest.raises(InputError, match=r"segment-0001\.h5: cannot be read \(.*\); collect it again"):
        bank.each(cut, threads=2)
    assert threading.active_count() == before


def test_threads_that_read_apart_do_so_at_once(tmp_path: Path) -> None:
    bank = grown(tmp_path, {"a": (4 * 65_536,)}, [3], "differences")
    together, expected = threading.Barrier(2, timeout=10), bank.resident().weights
    found = np.full_like(expected, np.nan)

    def work(block: Block) -> None:
        together.wait()
        found[:, block.columns] = block.weights

    bank.each(work, threads=2)
    assert found.tobytes() == expected.tobytes()


def test_leaving_early_closes_all(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, 2, {"a": (3 * 65_536,)})
    before, blocks = threading.active_count(), bank.blocks()
    next(blocks)
    blocks.close()
    assert threading.active_count() == before
    with h5py.File(bank.path / "segment-0000.h5", "r+") as file:  # refused where a reader has it open
        assert file["weights"].shape == (2, bank.P)


def test_a_bank_may_grow_while_it_is_read(tmp_path: Path) -> None:
    bank = grown(tmp_path, {"a": (3 * 65_536,)}, [2], "differences")
    expected, blocks = bank.resident().weights, bank.blocks()
    parts = [next(blocks)[1].copy()]
    with bank_writer(bank.path, 1, read_index(bank.path), "differences") as writer:
        writer.add(np.zeros(bank.P, np.float32), step=9, source="x", sha256="")
        writer.finish(bank.tensors, bank.others(), prefix=bank.prefix, container=bank.container)
    parts += [part.copy() for _, part in blocks]
    assert np.concatenate(parts, axis=1).tobytes() == expected.tobytes()
    assert (Bank.open(bank.path).K, Bank.open(bank.path, segments=1).identity) == (3, bank.identity)


@pytest.mark.parametrize("chunks", [None, (1, 7), (1, 100), (2, 8), (3, 33)], ids=str)
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_rows_are_read_however_they_are_stored(
    tmp_path: Path, chunks: tuple[int, int] | None, compression: str | None
) -> None:
    values = np.random.default_rng(4).standard_normal((5, 100), dtype=np.float32)
    compression = None if chunks is None else compression
    with h5py.File(tmp_path / "x.h5", "w", libver=("v110", "v110")) as file:
        file.create_dataset("weights", data=values, chunks=chunks, compression=compression)
    with h5py.File(tmp_path / "x.h5") as file:
        rows = Extents(file["weights"])
        assert (rows._offsets is None) == (compression is not None or (chunks is not None and chunks[0] > 1))
        for start, width in ((0, 100), (5, 9), (99, 1), (6, 60)):
            memory = np.full((3, 120), np.nan, np.float32)
            rows.read(slice(1, 4), start, memory[:, 2 : 2 + width])
            assert np.array_equal(memory[:, 2 : 2 + width], values[1:4, start : start + width])
            assert np.isnan(memory[:, :2]).all()
            assert np.isnan(memory[:, 2 + width :]).all()


def test_chunks_that_were_never_written_are_read_by_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("weights", (2, 20), np.float32, chunks=(1, 10))[1, 10:] = 3
    with h5py.File(tmp_path / "x.h5") as file:
        memory = np.full((2, 20), np.nan, np.float32)
        Extents(file["weights"]).read(slice(0, 2), 0, memory)
        assert memory.sum() == 30
