"""The bank's files and what is read from them."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from runs import assert_flips_are_found, make_bank, save_run, weights

from lcsc.bank import Bank, TensorEntry
from lcsc.bank.index import index_text, read_index, table_of
from lcsc.bank.writer import bank_writer
from lcsc.collection import collect
from lcsc.errors import InputError, LcscError

SEGMENT = "segment-0000.h5"


def vectors_of(bank: Bank) -> np.ndarray:
    return np.stack([bank.checkpoint(k) for k in range(bank.K)])


def append(bank: Bank, *values: float, name: str = "new") -> Bank:
    previous = read_index(bank.path)
    with bank_writer(bank.path, len(values), previous) as writer:
        for value in values:
            step = 1000 + int(value)
            writer.add(np.full(bank.P, value, np.float32), step=step, source=name, sha256="0" * 64)
        writer.finish(bank.tensors, bank.others(), prefix=bank.prefix, container=bank.container)
    return Bank.open(bank.path)


def test_the_table_and_the_weights_are_those_of_the_files(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    assert (bank.K, bank.P, bank.base_row, bank.steps) == (4, 51, 3, [10, 20, 30, 40])
    assert [entry.name for entry in bank.tensors] == [
        "body.0.bias",
        "body.0.weight",
        "body.2.weight",
        "body.10.weight",
        "scale",
    ]
    for k in range(4):
        state = weights(k)
        assert np.array_equal(bank.checkpoint(k), bank.flatten(state))
        found = bank.unflatten(bank.checkpoint(k))
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_blocks_give_all_columns_once(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    expected = vectors_of(bank)
    for source in (bank, bank.resident()):
        for columns in (1, 7, 51, 1000):
            blocks = [(part, block.copy()) for part, block in source.blocks(columns)]
            assert np.array_equal(np.concatenate([block for _, block in blocks], axis=1), expected)
            assert [part.start for part, _ in blocks] == list(range(0, 51, columns))
            assert blocks[-1][0].stop == 51


def test_a_bank_wider_than_a_chunk(tmp_path: Path) -> None:
    bank = make_bank(tmp_path, 2, {"a": (70_000,), "b": (3,)})
    states = [weights(k, {"a": (70_000,), "b": (3,)}) for k in range(2)]
    for k, state in enumerate(states):
        assert np.array_equal(bank.resident().checkpoint(k), bank.flatten(state))
    assert [part.stop - part.start for part, _ in bank.blocks()] == [65_536, 4_467]


def test_a_resident_bank_is_the_same_bank(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    resident = bank.resident()
    assert resident.identity == bank.identity
    assert resident.resident() is resident
    assert np.array_equal(vectors_of(resident), vectors_of(bank))
    with pytest.raises(ValueError, match="read-only"):
        resident.weights[0, 0] = 1.0


def test_threads_read_one_bank_at_once(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    expected = vectors_of(bank)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: np.concatenate([b.copy() for _, b in bank.blocks(5)], axis=1), range(40)))
    assert all(np.array_equal(one, expected) for one in found)


def test_others_aliases_and_prefixes_come_back(tmp_path: Path) -> None:
    states = []
    for k in range(2):
        shared = torch.full((2, 2), float(k))
        half = torch.tensor([0.1 + k], dtype=torch.bfloat16)
        states.append(
            {
                **{"module.in": shared, "module.out": shared, "module.half": half},
                **{"module.flag": torch.tensor([True, False]), "module.count": torch.tensor(5 + k)},
            }
        )
    save_run(tmp_path / "run", states)
    bank = collect(tmp_path / "run", tmp_path / "bank")
    assert bank.prefix == "module."
    assert next(entry for entry in bank.tensors if entry.name == "in").aliases == ("out",)
    state = bank.unflatten(bank.checkpoint(0))
    assert state["in"] is state["out"]
    assert state["half"].dtype == torch.bfloat16
    assert torch.equal(state["half"], states[0]["module.half"])
    assert (state["count"].item(), state["flag"].tolist()) == (6, [True, False])
    assert {name: value.shape for name, value in bank.others().items()} == {"count": (), "flag": (2,)}
    assert bank.restore_names(state).keys() == states[0].keys()
    assert np.array_equal(bank.flatten(states[1]), bank.checkpoint(1))
    assert np.array_equal(bank.flatten({"out": state["out"], "half": state["half"]}), bank.checkpoint(0))


def test_states_that_do_not_fit_the_bank(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    state = weights(0)
    with pytest.raises(InputError, match=r"ema\.pt: found an extra tensor 'more'"):
        bank.flatten({**state, "more": torch.ones(1)}, "ema.pt")
    with pytest.raises(InputError, match=r"'scale': found shape \[2\], expected \[\]"):
        bank.flatten({**state, "scale": torch.ones(2)})
    del state["scale"]
    with pytest.raises(InputError, match="tensor 'scale' is missing"):
        bank.flatten(state)
    with pytest.raises(InputError, match=r"weights: found shape \[3\], expected \[51\]"):
        bank.unflatten(np.zeros(3, np.float32))


def test_identity_is_that_of_the_content(tmp_path: Path) -> None:
    one = make_bank(tmp_path / "one")
    same = make_bank(tmp_path / "two")
    assert one.identity == same.identity
    save_run(tmp_path / "other", [weights(k) for k in (0, 1, 2, 9)])
    assert collect(tmp_path / "other", tmp_path / "other-bank").identity != one.identity


def test_a_bank_grows_by_segments_and_can_be_pinned(tmp_path: Path) -> None:
    before = make_bank(tmp_path)
    content = (before.path / SEGMENT).read_bytes()
    after = append(append(before, 1.0), 2.0, 3.0)
    assert after.steps == [10, 20, 30, 40, 1001, 1002, 1003]
    assert (before.path / SEGMENT).read_bytes() == content
    assert np.array_equal(vectors_of(after)[:4], vectors_of(before))
    assert [vectors_of(after)[k, 0] for k in (4, 5, 6)] == [1.0, 2.0, 3.0]
    whole = np.concatenate([block.copy() for _, block in after.blocks(10)], axis=1)
    assert np.array_equal(whole, vectors_of(after))
    pinned = Bank.open(before.path, segments=1)
    assert (pinned.identity, pinned.steps, pinned.base_row) == (before.identity, before.steps, 3)
    assert after.identity != before.identity
    after.verify()
    with pytest.raises(InputError, match="found 3 segments, expected at least 4"):
        Bank.open(before.path, segments=4)


def append_one(bank: Bank, step: int, width: int, table: tuple[TensorEntry, ...], rows: int = 1) -> None:
    with bank_writer(bank.path, rows, read_index(bank.path)) as writer:
        writer.add(np.zeros(width, np.float32), step=step, source="x", sha256="")
        writer.finish(table, {})


def test_what_is_appended_must_fit(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    with pytest.raises(InputError, match="found step 40, expected one after step 40"):
        append_one(bank, 40, 51, bank.tensors)
    with pytest.raises(InputError, match="x: found 50 parameters, expected 51"):
        append_one(bank, 50, 50, bank.tensors)
    with pytest.raises(InputError, match="the appended tensors are not those of the bank"):
        append_one(bank, 50, 51, table_of([("a", (51,), "float32", "combined", ())]))
    with pytest.raises(LcscError, match="fewer than 2 checkpoints were written"):
        append_one(bank, 50, 51, bank.tensors, rows=2)
    assert Bank.open(bank.path, verify=True).identity == bank.identity
    assert sorted(path.name for path in bank.path.iterdir()) == ["index.json", SEGMENT]


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    assert_flips_are_found(bank, "index.json", SEGMENT)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("name", ["index.json", SEGMENT])
def test_truncated_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    bank = make_bank(tmp_path)
    path = bank.path / name
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=name):
        Bank.open(bank.path)
    if name == SEGMENT:
        with pytest.raises(InputError, match="collect the bank again"):
            list(bank.blocks())


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"index\.json: not found"):
        Bank.open(tmp_path)
    (tmp_path / "index.json").write_text('{"format": "lcsc-bank", "format_version": 1}')
    with pytest.raises(InputError, match="does not match its checksum"):
        Bank.open(tmp_path)
    bank = make_bank(tmp_path)
    (bank.path / SEGMENT).unlink()
    with pytest.raises(InputError, match=f"{SEGMENT}: not found, expected"):
        Bank.open(bank.path)
    with pytest.raises(InputError, match=f"{SEGMENT}: not found; expected a segment"):
        bank.checkpoint(0)


def test_a_segment_of_another_bank_is_refused(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "one")
    save_run(tmp_path / "run", [weights(seed) for seed in range(4, 8)])
    other = collect(tmp_path / "run", tmp_path / "two")
    shutil.copy(other.path / SEGMENT, bank.path / SEGMENT)
    with pytest.raises(InputError, match=r"found content .*, expected .* \(index.json\)"):
        next(bank.blocks())
    shutil.copy(bank.path / "index.json", other.path / "index.json")
    with pytest.raises(InputError, match=r"found content"):
        Bank.open(other.path).resident()


def test_an_index_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    index = read_index(bank.path)
    outside = replace(index, segments=(replace(index.segments[0], file="../bank/segment-0000.h5"),))
    (bank.path / "index.json").write_text(index_text(outside))
    with pytest.raises(InputError, match="does not match"):
        Bank.open(bank.path)


def test_files_say_what_they_are(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    index = json.loads((bank.path / "index.json").read_text())
    assert (index["format"], index["format_version"]) == ("lcsc-bank", 1)
    assert index["lcsc_version"]
    with h5py.File(bank.path / SEGMENT) as file:
        assert file.attrs["format"] == "lcsc-bank-segment"
        assert file["weights"].chunks == (1, 51)
    assert Bank.open(bank.path / "index.json").identity == bank.identity
