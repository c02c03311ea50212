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
