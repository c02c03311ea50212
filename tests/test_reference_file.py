"""Reference statistics on disk."""

import h5py
import numpy as np
import pytest

from lcsc.errors import InputError
from lcsc.metrics.frechet import Reference, feature_statistics
from lcsc.metrics.reference_file import read_reference, write_reference

ABOUT = {"data": "d-1", "part": "train", "extractor": "cnn", "extractor_sha256": "ab" * 32, "resize": "none"}


@pytest.fixture
def reference():
    return Reference.of(feature_statistics(np.random.default_rng(0).normal(size=(40, 6))))


def test_a_reference_reads_back_as_it_was(tmp_path, reference):
    write_reference(tmp_path / "r.h5", reference, ABOUT)
    found = read_reference(tmp_path / "r.h5")
    np.testing.assert_array_equal(found.reference.factor, reference.factor)
    np.testing.assert_array_equal(found.reference.statistics.mean, reference.statistics.mean)
    assert found.reference.statistics.count == 40
    assert found.about == ABOUT


def test_two_writes_give_the_same_bytes(tmp_path, reference):
    for name in ("a.h5", "b.h5"):
        write_reference(tmp_path / name, reference, ABOUT)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_identity_covers_numbers_and_origin(tmp_path, reference):
    write_reference(tmp_path / "a.h5", reference, ABOUT)
    write_reference(tmp_path / "b.h5", reference, ABOUT | {"part": "held-out"})
    assert read_reference(tmp_path / "a.h5").identity != read_reference(tmp_path / "b.h5").identity


def test_statistics_of_other_packages_are_read(tmp_path, reference):
    statistics = reference.statistics
    np.savez(tmp_path / "other.npz", mu=statistics.mean, sigma=statistics.covariance)
    found = read_reference(tmp_path / "other.npz")
    np.testing.assert_allclose(found.reference.factor, reference.factor)


def test_a_truncated_file_is_refused(tmp_path, reference):
    path = tmp_path / "r.h5"
    write_reference(path, reference, ABOUT)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"r\.h5: cannot be read as lcsc reference statistics"):
        read_reference(path)


def test_a_lopsided_covariance_is_refused(tmp_path, reference):
    path = tmp_path / "r.h5"
    write_reference(path, reference, ABOUT)
    with h5py.File(path, "a") as file:
        file["covariance"][0, 1] += 1.0
    with pytest.raises(InputError, match="not finite and symmetric"):
        read_reference(path)


def changed(path, reference, name, values):
    write_reference(path, reference, ABOUT)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = values
    return path


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("mean", np.full(6, np.nan), "the mean is not finite"),
        ("mean", np.zeros(5), r"mean \(5,\) and covariance \(6, 6\) do not fit"),
        ("mean", np.zeros((6, 1)), r"mean \(6, 1\) and covariance"),
        ("factor", np.zeros((5, 6)), r"factor has shape \(5, 6\), expected 6 rows"),
        ("factor", np.zeros(6), r"factor has shape \(6,\), expected 6 rows"),
        ("factor", np.full((6, 6), np.inf), "factor is not finite"),
        ("factor", np.bytes_("text"), "cannot be read as lcsc reference statistics"),
    ],
)
def test_damaged_numbers_are_refused(tmp_path, reference, name, values, message):
    path = changed(tmp_path / "r.h5", reference, name, values)
    with pytest.raises(InputError, match=message) as error:
        read_reference(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_another_format_version_is_refused(tmp_path, reference):
    path = tmp_path / "r.h5"
    write_reference(path, reference, ABOUT)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(InputError, match="format version 2, expected 1; update lcsc"):
        read_reference(path)
    with h5py.File(path, "a") as file:
        del file.attrs["format_version"]
    with pytest.raises(InputError, match="format version None, expected 1"):
        read_reference(path)


def test_an_array_that_is_a_group_or_missing_is_refused(tmp_path, reference):
    path = tmp_path / "r.h5"
    write_reference(path, reference, ABOUT)
    with h5py.File(path, "a") as file:
        del file["factor"]
    with pytest.raises(InputError, match="factor"):
        read_reference(path)
    with h5py.File(path, "a") as file:
        file.create_group("factor")
    with pytest.raises(InputError, match="'factor' is no array"):
        read_reference(path)


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.full(3, np.nan), np.eye(3), "the mean is not finite"),
        (np.zeros(3), np.full((3, 3), np.nan), "the covariance is not finite and symmetric"),
        (np.zeros(3), np.triu(np.ones((3, 3))), "the covariance is not finite and symmetric"),
        (np.zeros(3), np.ones((3, 4)), "do not fit"),
        (np.zeros(3), np.ones(3), "do not fit"),
        (np.zeros(0), np.zeros((0, 0)), "do not fit"),
    ],
)
def test_statistics_of_other_packages_are_checked_too(tmp_path, mean, covariance, message):
    np.savez(tmp_path / "other.npz", mu=mean, sigma=covariance)
    with pytest.raises(InputError, match=message) as error:
        read_reference(tmp_path / "other.npz")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut off", b"text"])
def test_files_that_are_no_statistics_are_refused(tmp_path, content):
    for name in ("other.npz", "r.h5"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: cannot be read as") as error:
            read_reference(tmp_path / name)
        assert "\n" not in str(error.value)


def test_one_array_without_a_name_is_refused(tmp_path):
    with (tmp_path / "other.npz").open("wb") as stream:
        np.save(stream, np.ones(3))
    with pytest.raises(InputError, match="one array without a name"):
        read_reference(tmp_path / "other.npz")


@pytest.mark.parametrize("name", ["none.h5", "none.npz", "file/none.h5", "file/none.npz"])
def test_a_missing_file_is_not_called_truncated(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not found; expected"):
        read_reference(tmp_path / name)
