"""Reference statistics on disk: HDF5 of our own, and the ``.npz`` files (``mu``, ``sigma``) of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lcsc.errors import InputError
from lcsc.files import hash_of, read_or_refuse, replacing
from lcsc.metrics.frechet import Reference, Statistics

FORMAT = "lcsc-reference"
ABOUT = ("data", "part", "extractor", "extractor_sha256", "resize")


@dataclass(frozen=True)
class ReferenceFile:
    """A reference with what it was made from; ``identity`` is a hash of the numbers and of their origin."""

    reference: Reference
    about: Mapping[str, str]
    identity: str


def write_reference(path: Path, reference: Reference, about: Mapping[str, str]) -> None:
    """Write ``reference`` with its origin (keys of :data:`ABOUT`) to ``path``."""
    from lcsc import __version__

    statistics = reference.statistics
    with replacing(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.attrs.update({"format": FORMAT, "format_version": 1, "lcsc_version": __version__})
        file.attrs.update({"count": statistics.count, **{key: about[key] for key in ABOUT}})
        for name, values in _arrays(reference).items():
            file.create_dataset(name, data=values, track_times=False)


def read_reference(path: Path) -> ReferenceFile:
    """Read a reference; its shapes, finiteness and symmetry are checked."""
    path = Path(path)
    if path.suffix == ".npz":
        return _checked(path, *read_or_refuse(path, lambda: _read_npz(path), what="statistics (mu, sigma)"))
    return _checked(path, *read_or_refuse(path, lambda: _read_hdf5(path), what="lcsc reference statistics"))


def _arrays(reference: Reference) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    statistics = reference.statistics
    return {"mean": statistics.mean, "covariance": statistics.covariance, "factor": reference.factor}


def _read_hdf5(path: Path) -> tuple[Reference, dict[str, str]]:
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != FORMAT:
            raise ValueError(f"found format {file.attrs.get('format')!r}, expected {FORMAT!r}")
        mean, covariance, factor = (
            np.asarray(file[name], dtype=np.float64) for name in ("mean", "covariance", "factor")
        )
        about = {key: str(file.attrs[key]) for key in ABOUT}
        return Reference(Statistics(mean, covariance, int(file.attrs["count"])), factor), about


def _read_npz(path: Path) -> tuple[Reference, dict[str, str]]:
    with np.load(path, allow_pickle=False) as file:
        mean, covariance = np.asarray(file["mu"], np.float64), np.asarray(file["sigma"], np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("mu or sigma is not finite")
    about = dict.fromkeys(ABOUT, "unknown") | {"data": path.stem}
    return Reference.of(Statistics(mean, covariance, 0)), about


def _checked(path: Path, reference: Reference, about: dict[str, str]) -> ReferenceFile:
    mean, covariance = reference.statistics.mean, reference.statistics.covariance
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise InputError(f"{path}: mean {mean.shape} and covariance {covariance.shape} do not fit; make it again")
    if not np.isfinite(covariance).all() or not np.allclose(covariance, covariance.T, rtol=1e-8, atol=1e-12):
        raise InputError(f"{path}: the covariance is not finite and symmetric; make it again")
    digests = {name: _digest(values) for name, values in _arrays(reference).items()}
    return ReferenceFile(reference, about, hash_of({"about": about, **digests}))


def _digest(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
