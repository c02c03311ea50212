"""Reference statistics that others have published: ``mu`` and ``sigma`` of clean-fid, pytorch-fid, EDM and OpenAI.

They hold numbers of one network behind one way of resizing, and do not say of which: the configuration does, and what
can be checked is checked. The 10,000 images in OpenAI's files are for precision and recall alone, and are not read
here; the statistics beside them (``mu``, ``sigma``) are those of the whole training set.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lcsc.data.npz_files import mapped, names_in
from lcsc.errors import InputError
from lcsc.extractors import load_extractor
from lcsc.files import sha256_of
from lcsc.metrics.frechet import Float64Array, Reference, Statistics
from lcsc.metrics.reference_file import write_reference

WHAT = "statistics (mu, sigma)"
# Relative to the largest variance or eigenvalue: how far numbers that were rounded to float32 may be off.
ROUNDING = 1e-5


def import_reference(settings: Mapping[str, Any], part: str, extractor_path: Path, output: Path) -> None:
    """Check the statistics that ``settings`` (data_id, statistics) name for ``part``, and write them to ``output``.

    The record says where they come from: their file's name and sha256, who made them, and of how many images.
    """
    given = (settings.get("statistics") or {}).get(part.replace("-", "_"))
    if not given:
        raise InputError(f"data.statistics: found none of the {part} images; give their path, or compute them")
    path = Path(given["path"])
    extractor = load_extractor(extractor_path)
    statistics = read_statistics(path, int(given["count"]))
    if statistics.dimension != extractor.dimension:
        raise InputError(
            f"{path}: mu has {statistics.dimension} values, expected {extractor.dimension} as extractor "
            f"'{extractor.name}' makes; give statistics of the same network"
        )
    about = {
        "data": str(settings["data_id"]),
        "part": part,
        "extractor": extractor.name,
        "extractor_sha256": extractor.identity,
        "resize": extractor.resize_mode,
        "origin": f"{given['made_by']}: {path.name}, sha256 {sha256_of(path)}",
    }
    write_reference(output, Reference.of(statistics), about)


def read_statistics(path: Path, count: int) -> Statistics:
    """Mean and covariance of ``count`` images in the ``.npz`` file ``path``, checked, the covariance made symmetric."""
    if path.suffix != ".npz":
        raise InputError(
            f"{path}: found a file of type {path.suffix or 'none'!r}, expected an .npz file with mu and sigma; "
            "load it with the code base that made it, and write numpy.savez(file, mu=..., sigma=...)"
        )
    names = names_in(path, WHAT)
    missing = next((name for name in ("mu", "sigma") if name not in names), None)
    if missing is not None:
        raise InputError(f"{path}: array {missing!r} is missing, found {sorted(names)}; expected {WHAT}")
    mean, covariance = (_float64(path, name) for name in ("mu", "sigma"))
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        raise InputError(f"{path}: mu {mean.shape} and sigma {covariance.shape} do not fit, expected [D] and [D, D]")
    _check_covariance(path, covariance)
    return Statistics(mean, (covariance + covariance.T) / 2, count)


def _float64(path: Path, name: str) -> Float64Array:
    values = mapped(path, name, WHAT)
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise InputError(f"{path}: {name} is {values.dtype} or not finite, expected finite floating-point numbers")
    return np.array(values, dtype=np.float64)


def _check_covariance(path: Path, covariance: Float64Array) -> None:
    largest = float(np.abs(covariance).max())
    lopsided = float(np.abs(covariance - covariance.T).max())
    if lopsided > ROUNDING * largest:
        raise InputError(f"{path}: sigma is not symmetric (differences up to {lopsided:.3g}), expected a covariance")
    values = np.linalg.eigvalsh((covariance + covariance.T) / 2)
    if values[-1] <= 0 or values[0] < -ROUNDING * values[-1]:
        raise InputError(
            f"{path}: sigma has the eigenvalues {values[0]:.3g} to {values[-1]:.3g}, expected none below 0 and some "
            "above, as a covariance has; make it again"
        )
