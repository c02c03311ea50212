"""Reference statistics on disk: HDF5 of our own, and the ``.npz`` files (``mu``, ``sigma``) of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lcsc.data.npz_files import mapped
from lcsc.errors import InputError
from lcsc.files import hash_of, replacing
from lcsc.hdf5_files import own_dataset
from lcsc.metrics.frechet import Reference, Statistics
from lcsc.refusals import read_or_refuse
from lcsc.streams import DeferredErrors

FORMAT, FORMAT_VERSION = "lcsc-reference", 1
ABOUT = ("data", "part", "extractor", "extractor_sha256", "resize")
# Where statistics come from that were not computed here.
ORIGIN = "origin"
# What some have besides: their origin, and how far a faster variant of an extractor is off.
OPTIONAL = (ORIGIN, "variant_features", "variant_distance")


@dataclass(frozen=True)
class ReferenceFile:
    """A reference with what it was made from; ``identity`` is a hash of the numbers and of their origin."""

    reference: Reference
    about: Mapping[str, str]
    identity: str


def write_reference(path: Path, reference: Reference, about: Mapping[str, str]) -> None:
    """Write ``reference`` with what it is of (keys of :data:`ABOUT`, and of :data:`OPTIONAL`) to ``path``."""
    from lcsc import __version__

    statistics = reference.statistics
    with (
        replacing(path) as temporary,
        DeferredErrors(temporary) as stream,
        h5py.File(stream, "w", track_order=True) as file,
    ):
        file.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION, "lcsc_version": __version__})
        file.attrs.update({"count": statistics.count, **{key: about[key] for key in ABOUT}})
        file.attrs.update({key: about[key] for key in OPTIONAL if key in about})
        for name, values in _arrays(reference).items():
            file.create_dataset(name, data=values, track_times=False)


def read_reference(path: Path) -> ReferenceFile:
    """Read a reference; its shapes, finiteness and symmetry are checked."""
    path = Path(path)
    if path.suffix == ".npz":
        statistics, about = _read_npz(path)
        _check_statistics(path, statistics)
        return _identified(Reference.of(statistics), about)
    reference, about = read_or_refuse(path, lambda: _read_hdf5(path), what="lcsc reference statistics")
    _check_statistics(path, reference.statistics)
    _check_factor(path, reference)
    return _identified(reference, about)


def _arrays(reference: Reference) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    statistics = reference.statistics
    return {"mean": statistics.mean, "covariance": statistics.covariance, "factor": reference.factor}


def _read_hdf5(path: Path) -> tuple[Reference, dict[str, str]]:
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != FORMAT:
            raise ValueError(f"found format {file.attrs.get('format')!r}, expected {FORMAT!r}")
        version = file.attrs.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(f"{path}: format version {version}, expected {FORMAT_VERSION}; update lcsc")
        mean, covariance, factor = (_float64(file, name) for name in ("mean", "covariance", "factor"))
        about = {key: str(file.attrs[key]) for key in (*ABOUT, *(key for key in OPTIONAL if key in file.attrs))}
        return Reference(Statistics(mean, covariance, int(file.attrs["count"])), factor), about


def _float64(file: h5py.File, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(own_dataset(file, name)[()], dtype=np.float64)


def _read_npz(path: Path) -> tuple[Statistics, dict[str, str]]:
    mean, covariance = (np.array(mapped(path, name, "statistics (mu, sigma)"), np.float64) for name in ("mu", "sigma"))
    return Statistics(mean, covariance, 0), dict.fromkeys(ABOUT, "unknown") | {"data": path.stem}


def _check_statistics(path: Path, statistics: Statistics) -> None:
    mean, covariance = statistics.mean, statistics.covariance
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        raise InputError(f"{path}: mean {mean.shape} and covariance {covariance.shape} do not fit; make it again")
    if not np.isfinite(mean).all():
        raise InputError(f"{path}: the mean is not finite; make it again")
    if not np.isfinite(covariance).all() or not np.allclose(covariance, covariance.T, rtol=1e-8, atol=1e-12):
        raise InputError(f"{path}: the covariance is not finite and symmetric; make it again")


def _check_factor(path: Path, reference: Reference) -> None:
    factor, dimension = reference.factor, reference.statistics.dimension
    if factor.ndim != 2 or factor.shape[0] != dimension or factor.shape[1] > dimension:
        raise InputError(
            f"{path}: the covariance's factor has shape {factor.shape}, expected {dimension} rows; make it again"
        )
    if not np.isfinite(factor).all():
        raise InputError(f"{path}: the covariance's factor is not finite; make it again")


def _identified(reference: Reference, about: dict[str, str]) -> ReferenceFile:
    digests = {name: _digest(values) for name, values in _arrays(reference).items()}
    return ReferenceFile(reference, about, hash_of({"about": about, **digests}))


def _digest(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
