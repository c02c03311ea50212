"""Banks that hold float16 differences: how near the weights come back, by every way of reading them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import assert_flips_are_found

from lcsc.bank import Bank
from lcsc.bank.combination import combine
from lcsc.bank.combination_gradient import coefficient_gradient
from lcsc.bank.differences import BLOCK, decode, encode
from lcsc.bank.gram import centred_gram
from lcsc.bank.index import index_text, read_index, table_of
from lcsc.bank.segments import allow_open_files
from lcsc.bank.writer import CHAIN, Base, bank_writer
from lcsc.errors import InputError
from lcsc.groups import make_groups


def written(folder: Path, rows: Iterable[np.ndarray], storage: str = "differences", cut: Sequence[int] = ()) -> Bank:
    """A bank of ``rows`` [P], with a segment more from each row of ``cut`` on."""
    vectors = list(rows)
    table = table_of([("a", (vectors[0].size - 2,), "float32", "combined", ()), ("b", (2,), "float32", "combined", ())])
    previous, base = None, None
    for first, stop in zip([0, *cut], [*cut, len(vectors)], strict=True):
        with bank_writer(folder, stop - first, previous, storage, base) as writer:
            for k in range(first, stop):
                writer.add(vectors[k], step=10 * k, source=f"{k}", sha256="")
            writer.finish(table, {})
            base = writer.base
        previous = read_index(folder)
    return Bank.open(folder)


def walk(count: int, parameters: int, step: float = 1e-3, seed: int = 0) -> list[np.ndarray]:
    """Weights whose tensors differ in size by 1e6, moved as Adam moves them: each by about ``step`` of its size."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-5, 1, parameters)
    place = size * rng.standard_normal(parameters)
    rows = []
    for _ in range(count):
        place = place + step * size * rng.standard_normal(parameters)
        rows.append(place.astype(np.float32))
    return rows


def there_and_back(vector: np.ndarray, base: np.ndarray) -> np.ndarray:
    found = np.empty_like(vector)
    decode(*encode(vector, base), base, found, 0)
    return found


NUMBERS = st.floats(-(2.0**120), 2.0**120, width=32)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_values_come_back_within_the_bound(pairs: list[tuple[float, float]]) -> None:
    vector, base = np.array(pairs, np.float32).T.copy()
    found = there_and_back(vector, base).astype(np.float64)
    difference = np.abs(vector.astype(np.float64) - base)
    rounding = 2.0**-24 * (np.abs(vector) + 3 * difference) + 2.0**-149
    assert np.all(np.abs(found - vector) <= 2.0**-11 * difference + 2.0**-39 * difference.max() + rounding)


@given(scale=st.integers(-30, 30), seed=st.integers(0, 99))
def test_the_size_of_the_differences_does_not_matter(scale: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = np.zeros(50, np.float32)
    vector = (10.0**scale * rng.standard_normal(50)).astype(np.float32)
    assert np.max(np.abs(there_and_back(vector, base) / vector - 1)) <= 2.0**-11


@given(size=st.integers(-30, 30), seed=st.integers(0, 99))
def test_moves_below_an_8192th_of_a_weight_are_kept_exactly(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = (10.0**size * rng.choice([-1, 1], 50) * rng.uniform(1, 9, 50)).astype(np.float32)
    vector = (base * (1 + rng.uniform(-1, 1, 50) / 8200)).astype(np.float32)
    assert np.array_equal(there_and_back(vector, base), vector)


@given(st.integers(-30, 0), st.integers(0, 99))
def test_small_weights_beside_a_large_movement_are_within_the_bound_but_not_exact(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = (2.0**size * rng.uniform(1, 2, 50)).astype(np.float32)
    vector = (base * (1 + rng.uniform(-1, 1, 50) / 8200)).astype(np.float32)
    vector[0] = base[0] + np.float32(2.0**20)
    error = np.abs(there_and_back(vector, base).astype(np.float64) - vector)
    moved = np.abs(vector.astype(np.float64) - base)
    assert np.all(error <= 2.0**-11 * moved + 2.0**-39 * moved.max() + 2.0**-24 * (np.abs(vector) + 3 * moved))
    assert size > -20 or error[1:].max() > 0


def test_small_differences_would_be_lost_without_units() -> None:
    rng = np.random.default_rng(0)
    base = (1e-4 * rng.standard_normal(1000)).astype(np.float32)
    vector = (base + 1e-6 * rng.standard_normal(1000)).astype(np.float32)
    difference = vector - base
    plain = np.linalg.norm(difference.astype(np.float16) - difference)
    assert np.linalg.norm(there_and_back(vector, base) - vector) < plain / 50


def test_equal_checkpoints_and_extremes() -> None:
    base = np.array([0.0, -0.0, 1e-45, -3e38], np.float32)
    assert np.array_equal(there_and_back(base, base), base)
    tiny = np.array([1e-45, 1e-42, -1e-40, -3e38], np.float32)
    assert np.max(np.abs(there_and_back(tiny, base) - tiny)) <= 2.0**-11 * 1e-40
    with pytest.raises(InputError, match="beyond float32's largest number"):
        encode(-base, base)


def test_the_cut_of_the_columns_does_not_matter() -> None:
    rows = walk(2, 2 * BLOCK + 77)
    bits, units = encode(rows[1], rows[0])
    whole, parts = np.empty_like(rows[1]), np.empty_like(rows[1])
    decode(bits, units, rows[0], whole, 0)
    for start in range(0, whole.size, 1009):
        part = slice(start, start + 1009)
        decode(bits[part], units, rows[0][part], parts[part], start)
    assert parts.tobytes() == whole.tobytes()
    assert units.size == 3


@pytest.mark.parametrize("cut", [(), (5, 6, 30), tuple(range(1, 35))], ids=["one segment", "four", "one each"])
def test_every_way_of_reading_gives_the_same_weights(tmp_path: Path, cut: tuple[int, ...]) -> None:
    rows = walk(35, BLOCK + 100)
    bank = written(tmp_path, rows, cut=cut)
    expected = np.stack([bank.checkpoint(k) for k in range(bank.K)])
    for columns in (BLOCK, 7919):
        found = np.concatenate([block.copy() for _, block in bank.blocks(columns)], axis=1)
        assert found.tobytes() == expected.tobytes()
    assert bank.resident().weights.tobytes() == expected.tobytes()
    picks = combine(bank, np.eye(bank.K)[:, None])
    assert picks.tobytes() == expected.tobytes()
    whole = [k for k, stored in enumerate(bank.checkpoints) if stored.base is None]
    assert whole == [0, CHAIN, 2 * CHAIN]
    assert all(np.array_equal(expected[k], rows[k]) for k in whole)
    assert (bank.storage, bank.steps) == ("differences", list(range(0, 350, 10)))


def test_identity_and_weights_do_not_depend_on_the_segments(tmp_path: Path) -> None:
    rows = walk(20, 300)
    one, many = written(tmp_path / "one", rows), written(tmp_path / "many", rows, cut=(3, 4, 18))
    assert one.identity == many.identity
    assert one.identity != written(tmp_path / "float32", rows, "float32").identity
    as_read = written(tmp_path / "again", one.resident().weights.copy(), "float32")
    assert as_read.identity == one.identity


def test_gradients_and_inner_products_are_those_of_the_weights(tmp_path: Path) -> None:
    differences = written(tmp_path / "one", walk(20, 500), cut=(7,))
    plain = written(tmp_path / "two", differences.resident().weights.copy(), "float32")
    slopes = np.random.default_rng(1).standard_normal(500)
    groups = make_groups(plain.tensors, "tensor")
    one, two = (coefficient_gradient(bank, slopes, groups) for bank in (differences, plain))
    assert np.array_equal(one, two)
    assert np.array_equal(centred_gram(differences, groups), centred_gram(plain, groups))


def test_merged_weights_keep_their_precision(tmp_path: Path) -> None:
    """The measure of FACTS: K = 200, largest |α| = 6 (so that Σ|α| is about 300)."""
    rows = walk(200, 2000)
    rng = np.random.default_rng(2)
    alpha = rng.standard_normal((8, 1, 200))
    alpha *= 6 / np.abs(alpha).max(axis=2, keepdims=True)
    alpha += (1 - alpha.sum(axis=2, keepdims=True)) / 200
    exact = alpha[:, 0] @ np.stack(rows).astype(np.float64)

    def error(bank: Bank) -> float:
        return float(np.max(np.linalg.norm(combine(bank, alpha) - exact, axis=1) / np.linalg.norm(exact, axis=1)))

    differences = error(written(tmp_path / "one", rows))
    halves = error(written(tmp_path / "two", [row.astype(np.float16).astype(np.float32) for row in rows], "float32"))
    assert error(written(tmp_path / "three", rows, "float32")) < 1e-7
    assert 1e-7 < differences < 6e-5
    assert halves > 20 * differences


def test_errors_do_not_add_up_along_a_chain(tmp_path: Path) -> None:
    rows = walk(CHAIN, 3000)
    bank = written(tmp_path, rows)
    errors = [np.linalg.norm(bank.checkpoint(k) - rows[k]) for k in range(1, CHAIN)]
    assert max(errors) < 1.5 * min(errors)


def test_a_value_takes_little_more_than_two_bytes(tmp_path: Path) -> None:
    bank = written(tmp_path, walk(2 * CHAIN, 50_000))
    size = sum(path.stat().st_size for path in tmp_path.glob("segment-*"))
    assert 2.12 < size / (bank.K * bank.P) < 2.2


def test_a_chain_begins_anew_where_its_end_is_not_given(tmp_path: Path) -> None:
    rows = walk(5, 40)
    bank = written(tmp_path, rows[:3])
    with bank_writer(tmp_path, 2, read_index(tmp_path), "differences") as writer:
        for k in (3, 4):
            writer.add(rows[k], step=10 * k, source="", sha256="")
        writer.finish(bank.tensors, {})
    assert [stored.base for stored in Bank.open(tmp_path).checkpoints] == [None, 0, 1, None, 3]
    assert np.array_equal(Bank.open(tmp_path).checkpoint(3), rows[3])


def test_pinned_segments_are_not_disturbed(tmp_path: Path) -> None:
    rows = walk(9, 100)
    before = written(tmp_path, rows[:6], cut=(2, 4))
    weights, identity = before.resident().weights.tobytes(), before.identity
    base = Base(5, 5, before.checkpoint(5))
    for k in (6, 7, 8):
        with bank_writer(tmp_path, 1, read_index(tmp_path), "differences", base) as writer:
            writer.add(rows[k], step=10 * k, source="", sha256="")
            writer.finish(before.tensors, {})
            base = writer.base
        pinned = Bank.open(tmp_path, segments=3, verify=True)
        assert (pinned.identity, pinned.resident().weights.tobytes()) == (identity, weights)
        assert before.resident().weights.tobytes() == weights
    assert Bank.open(tmp_path).K == 9


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    bank = written(tmp_path, walk(4, 60), cut=(2,))
    assert_flips_are_found(bank, "index.json", "segment-0000.h5", "segment-0001.h5")


def test_versions_say_how_weights_are_stored(tmp_path: Path) -> None:
    written(tmp_path / "plain", walk(3, 20), "float32")
    bank = written(tmp_path / "differences", walk(3, 20))
    for name, version in (("plain", 1), ("differences", 2)):
        record = json.loads((tmp_path / name / "index.json").read_text())
        assert record["format_version"] == version
        assert any("base" in stored for stored in record["checkpoints"]) == (version == 2)
        with h5py.File(tmp_path / name / "segment-0000.h5") as file:
            assert file.attrs["format_version"] == version
            assert ("differences" in file) == (version == 2)
    text = (bank.path / "index.json").read_text()
    (bank.path / "index.json").write_text(text.replace('"format_version": 2', '"format_version": 1'))
    with pytest.raises(InputError, match="does not match its checksum"):
        Bank.open(bank.path)
    (bank.path / "index.json").write_text(text.replace('"format_version": 2', '"format_version": 3'))
    with pytest.raises(InputError, match="format version 3, expected 1 or 2; update lcsc"):
        Bank.open(bank.path)


@pytest.mark.parametrize("base", [1, 2, -1])
def test_an_index_whose_differences_lead_nowhere_is_refused(tmp_path: Path, base: int) -> None:
    bank = written(tmp_path, walk(3, 20))
    index = read_index(bank.path)
    wrong = replace(index.checkpoints[1], base=base)
    (bank.path / "index.json").write_text(
        index_text(replace(index, checkpoints=(index.checkpoints[0], wrong, index.checkpoints[2])))
    )
    with pytest.raises(InputError, match="does not match its checksum"):
        Bank.open(bank.path)


def test_more_segments_than_a_process_may_open_are_named(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 30
    with pytest.raises(InputError, match=r"found \d+ segments, but a process may open \d+ files"):
        allow_open_files(tmp_path, hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft
