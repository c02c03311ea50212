"""Images in one array: NumPy's files and HDF5, in every layout, read in pieces."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcsc import data
from lcsc.data import array_files, npz_files
from lcsc.data.sources import open_source
from lcsc.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 3, 5, 4), dtype=np.uint8)
LABELS = np.arange(12) % 3


def write_hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, chunks=(2, *array.shape[1:]))


WRITERS = {"npz": np.savez, "hdf5": write_hdf5}
SAVED = [("npz", np.savez), ("npz", np.savez_compressed), ("hdf5", write_hdf5)]


def opened(path, source, **given):
    return open_source({"source": source, "path": str(path), **given})


def all_of(source):
    return source.read(np.arange(len(source.labels)))


@pytest.mark.parametrize(("source", "write"), SAVED)
def test_both_layouts_and_grey_images_are_read(tmp_path, source, write):
    path = tmp_path / f"x.{source}"
    write(path, images=IMAGES, labels=LABELS)
    found = opened(path, source)
    assert found.image_shape == (3, 5, 4)
    assert found.labels.dtype == np.int64
    assert np.array_equal(found.labels, LABELS)
    assert np.array_equal(all_of(found), IMAGES)
    write(path, images=IMAGES.transpose(0, 2, 3, 1))
    found = opened(path, source)
    assert found.image_shape == (3, 5, 4)
    assert not found.labels.any()
    assert np.array_equal(all_of(found), IMAGES)
    assert np.array_equal(found.read(np.array([1, 7])), IMAGES[[1, 7]])
    write(path, images=IMAGES[:, 0])
    assert np.array_equal(all_of(opened(path, source)), IMAGES[:, :1])


@pytest.mark.parametrize(("source", "write"), SAVED)
def test_arrays_have_the_names_of_openai_or_those_that_are_given(tmp_path, source, write):
    path = tmp_path / f"x.{source}"
    write(path, arr_0=IMAGES, arr_1=LABELS)
    assert np.array_equal(opened(path, source).labels, LABELS)
    write(path, x=IMAGES, y=LABELS, z=LABELS)
    assert np.array_equal(opened(path, source, images_key="x", labels_key="y").labels, LABELS)
    with pytest.raises(InputError, match=r"array 'images' or 'arr_0' is missing, found \['x', 'y', 'z'\]"):
        opened(path, source)
    with pytest.raises(InputError, match=r"array 'q' is missing, .* name it in images_key"):
        opened(path, source, images_key="q")
    with pytest.raises(InputError, match=r"array 'q' is missing, .* correct labels_key"):
        opened(path, source, images_key="x", labels_key="q")


@pytest.mark.parametrize(("source", "write"), SAVED)
@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"images": IMAGES / 255}, r"images are float64 \[12, 3, 5, 4\], expected uint8"),
     ({"images": np.zeros((6, 4, 5, 4), np.uint8)}, r"images are uint8 \[6, 4, 5, 4\], .* with 1 or 3 channels"),
     ({"images": IMAGES, "labels": LABELS[:5]}, r"labels are int64 \[5\], expected integers \[12\]"),
     ({"images": IMAGES, "labels": LABELS / 2}, r"labels are float64 \[12\]")],
)  # fmt: skip
def test_arrays_that_are_no_images_are_refused(tmp_path, source, write, arrays, message):
    write(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=f"x.npz: {message}"):
        opened(tmp_path / "x.npz", source)


@pytest.mark.parametrize(("source", "write"), SAVED)
def test_damaged_files_are_refused(tmp_path, source, write):
    path = tmp_path / "x.npz"
    write(path, images=IMAGES, labels=LABELS)
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"x.npz: cannot be read as a[n]? (NumPy|HDF5) file of images"):
            opened(path, source)
    with pytest.raises(InputError, match=r"y.npz: not found"):
        opened(tmp_path / "y.npz", source)


def test_a_single_array_is_mapped_and_pickles_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(IMAGES.transpose(0, 2, 3, 1)))
    assert np.array_equal(all_of(opened(tmp_path / "x.npy", "npz")), IMAGES)
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"o.npy: cannot be read as a NumPy file"):
        opened(tmp_path / "o.npy", "npz")
    np.savez(tmp_path / "o.npz", images=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"o.npz: cannot be read as a NumPy file"):
        opened(tmp_path / "o.npz", "npz")


def test_an_array_that_says_it_is_longer_than_its_file_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    content = (tmp_path / "x.npy").read_bytes().replace(b"(12, 3, 5, 4)", b"(92, 3, 5, 4)")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(
        InputError, match=r"x.npz: cannot be read as a NumPy file of images \(array 'images' is shorter"
    ):
        opened(tmp_path / "x.npz", "npz")


def test_an_array_that_unpacks_to_more_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_files, "MOST_COMPRESSED", 1 << 20)
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((2048, 1, 32, 32), np.uint8))
    with pytest.raises(InputError, match=r"x.npz: array 'images' unpacks to .* save it without compression"):
        opened(tmp_path / "x.npz", "npz")


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, 11), min_size=1))
def test_any_rows_of_hdf5_are_read_by_blocks(tmp_path_factory, chosen):
    path = tmp_path_factory.mktemp("rows") / "x.h5"
    write_hdf5(path, images=IMAGES)
    rows = np.array(sorted(chosen))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_files, "ROWS", 3)
        assert np.array_equal(opened(path, "hdf5").read(rows), IMAGES[rows])


def test_a_part_is_mapped_and_damage_within_its_images_is_seen(tmp_path):
    write_hdf5(tmp_path / "x.h5", images=IMAGES, labels=LABELS)
    given = {"source": "hdf5", "path": str(tmp_path / "x.h5"), "held_out": 3, "seed": 0}
    data.prepare(given, tmp_path / "out")
    part = data.load_part(tmp_path / "out" / "train.npz")
    assert isinstance(part.images, np.memmap)
    assert np.array_equal(part.images, IMAGES[part.indices])
    content = bytearray((tmp_path / "out" / "train.npz").read_bytes())
    content[content.index(part.images.tobytes()) + 7] ^= 1
    (tmp_path / "out" / "train.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"train.npz: cannot be read as a part of a data set \(Bad CRC-32"):
        data.load_part(tmp_path / "out" / "train.npz")


def test_images_are_made_smaller_as_they_are_read(tmp_path):
    np.savez(tmp_path / "x.npz", images=IMAGES)
    found = opened(tmp_path / "x.npz", "npz", size=2)
    assert found.image_shape == (3, 2, 2)
    assert np.array_equal(all_of(found), data.area.smaller(IMAGES, 2))
    with pytest.raises(InputError, match=r"size is 5, found 4×5 pixels"):
        opened(tmp_path / "x.npz", "npz", size=5)
