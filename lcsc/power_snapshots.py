"""Baselines from stored power-function averages: post-hoc EMAs of any width (:mod:`lcsc.search.post_hoc`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lcsc import weights
from lcsc.checkpoints import format_of
from lcsc.errors import InputError
from lcsc.search import post_hoc
from lcsc.search.post_hoc import Profile

FAMILY = "post-hoc"
WIDTH_KEY = "sigma_rel"  # in the metadata of a snapshot's file


def entries(folder: Path, widths: Sequence[float]) -> list[dict[str, Any]]:
    """An entry for each of ``widths`` (σ_rel), mixed from the snapshots in ``folder``, at the last one's step.

    ``misfit`` says how far the mixture's profile is from the one that was wanted, as a share of it. Raises
    :class:`InputError` for a folder without snapshots and for a file that does not say what it is.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    paths = [path for path in paths if not path.name.startswith(".")]
    if not paths:
        raise InputError(f"{folder}: no snapshots of power EMAs found; set train.power_ema and train again")
    stored = [profile_of(path) for path in paths]
    files = [weights.file_named(path) for path in paths]
    last = max(profile.step for profile in stored)
    found = []
    for width in widths:
        target = Profile.of_width(width, last)
        row = post_hoc.from_snapshots(stored, target)
        entry = {"name": f"post-hoc {width:g}", "family": FAMILY, "label": label(width), "parameter": width}
        found.append({
            **entry, "weights": weights.of_mixture(files, row), "misfit": post_hoc.misfit(stored, row, target),
        })  # fmt: skip
    return found


def label(width: float, addition: str = "") -> str:
    """What an average of relative width ``width`` is called."""
    return f"Post-hoc EMA (σ_rel {max(f'{width:.2f}', f'{width:g}', key=len)}{addition})"


def profile_of(path: Path) -> Profile:
    """The profile of the average in the file ``path``, from the metadata ``sigma_rel`` and ``step``."""
    metadata = format_of(path).metadata_of(path)
    width, step = (_number(path, metadata, key) for key in (WIDTH_KEY, "step"))
    if step <= 0:
        raise InputError(f"{path}: metadata 'step': found {step:g}, expected 1 or more")
    try:
        return Profile.of_width(width, step)
    except InputError as error:
        raise InputError(f"{path}: metadata {WIDTH_KEY!r}: {error}") from error


def _number(path: Path, metadata: dict[str, str], key: str) -> float:
    text = metadata.get(key)
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        found = "nothing" if text is None else repr(text)
        raise InputError(f"{path}: metadata {key!r}: found {found}, expected a number, as power EMAs have")
    return value
