"""CIFAR-10's own files, read without running anything that stands in them."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcsc import data
from lcsc.data.array_pickles import read_arrays
from lcsc.errors import InputError

RNG = np.random.default_rng(0)
NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
BATCHES = {name: RNG.integers(0, 256, (20, 3072), dtype=np.uint8) for name in NAMES}
LABELS = [i % 10 for i in range(20)]


def as_python_2(batch: dict[bytes, object]) -> bytes:
    """A batch as Python 2 wrote it: its text is bytes, and NumPy's module has its old name."""
    content = pickle.dumps(batch, protocol=2)
    for name in (b"data", b"labels", b"batch_label"):
        # Python 3 writes bytes by a call of _codecs.encode; Python 2 had short strings: U, length, text.
        content = content.replace(python_3(name), b"U" + bytes([len(name)]) + name)
    return content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def python_3(name: bytes) -> bytes:
    return b"X" + len(name).to_bytes(4, "little") + name


def write(folder: Path, **changed: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        batch = {"data": BATCHES[name], "labels": LABELS, "batch_label": "x"}
        (folder / name).write_bytes(changed.get(name, as_python_2(batch)))
    return folder


def settings(path: Path, **given) -> dict:
    return {"source": "cifar10", "path": str(path), "held_out": "test", "seed": 0, **given}


def check(folder: Path) -> None:
    train, held_out = (data.load_part(folder / name) for name in ("train.npz", "held-out.npz"))
    expected = np.concatenate([BATCHES[name] for name in NAMES[:5]]).reshape(-1, 3, 32, 32)
    assert np.array_equal(train.images, expected)
    assert np.array_equal(held_out.images, BATCHES["test_batch"].reshape(-1, 3, 32, 32))
    assert train.labels.tolist() == LABELS * 5
    assert held_out.labels.tolist() == LABELS


def test_the_folder_and_the_archive_are_read(tmp_path):
    folder = write(tmp_path / "x" / "cifar-10-batches-py")
    assert b"numpy.core.multiarray" in (folder / "test_batch").read_bytes()
    for number, place in enumerate((folder, folder.parent)):
        data.prepare(settings(place), tmp_path / f"out-{number}")
        check(tmp_path / f"out-{number}")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, "cifar-10-batches-py")
    data.prepare(settings(tmp_path / "cifar-10-python.tar.gz"), tmp_path / "out")
    check(tmp_path / "out")


def test_a_number_of_held_out_images_leaves_the_test_images_alone(tmp_path):
    data.prepare(settings(write(tmp_path / "x"), held_out=30), tmp_path / "out")
    train, held_out = (data.load_part(tmp_path / "out" / name) for name in ("train.npz", "held-out.npz"))
    assert (len(train.images), len(held_out.images)) == (70, 30)
    assert np.bincount(held_out.labels).tolist() == [3] * 10


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("dtype", ["uint8", "<f4", ">i2", "bool"])
def test_arrays_of_all_older_protocols_are_read(protocol, dtype):
    array = RNG.integers(0, 2, (3, 4)).astype(dtype)
    found = read_arrays(io.BytesIO(pickle.dumps({"a": [array, (1, "x")], "f": np.asfortranarray(array)}, protocol)))
    for one in (found["a"][0], found["f"]):
        assert np.array_equal(one, array)
        assert one.dtype == array.dtype
    assert found["a"][1] == (1, "x")


class Runs:
    """A pickle of it calls os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_pickles_that_run_something_are_refused_and_run_nothing(tmp_path):
    bad = pickle.dumps({"data": BATCHES["test_batch"], "labels": Runs(f"touch {tmp_path}/ran")})
    write(tmp_path / "x", test_batch=bad)
    with pytest.raises(InputError, match=r"test_batch: cannot be read as a batch .*would run (posix|nt).system"):
        data.prepare(settings(tmp_path / "x"), tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    for content in (
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x04f.os\x93.",
    ):
        with pytest.raises(ValueError, match="would run"):
            read_arrays(io.BytesIO(content))


def test_arrays_of_objects_are_refused():
    with pytest.raises(ValueError, match="an array"):
        read_arrays(io.BytesIO(pickle.dumps(np.array([{}, 1], dtype=object), protocol=2)))


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused_in_one_way(content):
    with contextlib.suppress(ValueError):
        read_arrays(io.BytesIO(content))


@given(st.integers(0, 400), st.integers(0, 255))
def test_damaged_pickles_end_in_a_value_error_or_in_plain_values(place, byte):
    content = bytearray(pickle.dumps({"data": np.zeros((2, 8), np.uint8), "labels": [1, 2]}, protocol=2))
    content[place % len(content)] = byte
    try:
        found = read_arrays(io.BytesIO(bytes(content)))
    except ValueError:
        return
    assert not hasattr(found, "__setstate__")


@pytest.mark.parametrize(
    ("batch", "message"),
    [({"data": BATCHES["test_batch"][:, :99], "labels": LABELS}, r"images are uint8 \[20, 99\], expected uint8"),
     ({"labels": LABELS}, "images are none"),
     ({"data": BATCHES["test_batch"], "labels": LABELS[:3]}, "labels are no list of 20 numbers from 0 to 9"),
     ({"data": BATCHES["test_batch"], "labels": [10] * 20}, "labels are no list"),
     ([1], "images are none")],
)  # fmt: skip
def test_other_batches_are_refused_with_the_file(tmp_path, batch, message):
    write(tmp_path / "x", test_batch=pickle.dumps(batch))
    with pytest.raises(InputError, match=f"test_batch: {message}"):
        data.prepare(settings(tmp_path / "x"), tmp_path / "out")


def test_missing_batches_and_other_archives_are_refused(tmp_path, monkeypatch):
    (write(tmp_path / "x") / "data_batch_3").unlink()
    with pytest.raises(InputError, match=r"data_batch_3 is missing"):
        data.prepare(settings(tmp_path / "x"), tmp_path / "out")
    with pytest.raises(InputError, match=r"none: not found"):
        data.prepare(settings(tmp_path / "none"), tmp_path / "out")
    for name, content in (("t.gz", b"text"), ("u.gz", gzip.compress(b"no tar")), ("v.gz", gzip.compress(b"x")[:-5])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: cannot be read as CIFAR-10"):
            data.prepare(settings(tmp_path / name), tmp_path / "out")
    monkeypatch.setattr("lcsc.data.cifar10.MOST_BYTES", 1000)
    with tarfile.open(tmp_path / "big.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x" / "test_batch", "test_batch")
    with pytest.raises(InputError, match=r"big.tar.gz: cannot be read .*test_batch unpacks to"):
        data.prepare(settings(tmp_path / "big.tar.gz"), tmp_path / "out")
