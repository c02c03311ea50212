"""Images: two files for each data set, training and held-out, and the grid of values that images live on.

A part is an ``.npz`` file with ``images`` (uint8, [N, C, H, W]), ``labels`` (int64, [N]), ``indices`` (int64,
[N], rows of the source) and ``about`` (JSON). Training and every search read the training file only; nothing
opens the held-out file before the final evaluation.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from lcsc.errors import InputError
from lcsc.files import canonical_json, read_or_refuse, sha256_of, write_bytes
from lcsc.seeds import generator

if TYPE_CHECKING:
    import torch

PartName = Literal["train", "held-out"]
PARTS: tuple[PartName, PartName] = ("train", "held-out")
FORMAT, FORMAT_VERSION = "lcsc-images", 1
# Every zip entry carries this date, so that the bytes of a part do not depend on when it was made.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
DIGITS_WHITE = 16


@dataclass(frozen=True)
class Part:
    """Images of one part of a data set: uint8 [N, C, H, W], labels and rows of the source, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    part: PartName
    data_id: str
    sha256: str
    path: Path

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return self.images.shape[1:]


def prepare(settings: Mapping[str, Any], output: Path | str, data_id: str | None = None) -> None:
    """Split the images of ``settings`` (source, held_out, seed, path) into two files in folder ``output``.

    ``data_id`` names the data set in both; it is the folder's name where none is given. The same settings
    give the same bytes.
    """
    output = Path(output)
    images, labels = _read_source(settings)
    train, held_out = split(labels, int(settings["held_out"]), int(settings["seed"]))
    for part, rows in zip(PARTS, (train, held_out), strict=True):
        about = {
            "data": data_id or output.name,
            "part": part,
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
        }
        arrays: dict[str, NDArray[Any]] = {"images": images[rows], "labels": labels[rows], "indices": rows}
        write_bytes(output / f"{part}.npz", _npz({**arrays, "about": np.array(canonical_json(about))}))


def split(labels: NDArray[np.int64], held_out: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the training and of the held-out images, ascending, stratified by label.

    Each label gets its share of ``held_out``, the rounding going to the largest remainders (the smaller label
    where two are equal). Raises :class:`InputError` where a part would have no image of some label.
    """
    names, counts = np.unique(labels, return_counts=True)
    if not 0 < held_out < len(labels):
        raise InputError(f"data: held_out is {held_out}, expected 1 to {len(labels) - 1} of {len(labels)} images")
    # Integers: a remainder that floating point rounds would move an image from one label to another.
    quota, remainder = np.divmod(counts * held_out, len(labels))
    quota[np.argsort(-remainder, kind="stable")[: held_out - quota.sum()]] += 1
    for name, count, chosen in zip(names, counts, quota, strict=True):
        if not 0 < chosen < count:
            raise InputError(
                f"data: label {name} has {count} images, too few for a share of held_out = {held_out} of "
                f"{len(labels)}; both parts need images of each label, change held_out"
            )
    rng = generator("data", seed)
    chosen_rows = [
        rng.permutation(np.flatnonzero(labels == name))[:chosen] for name, chosen in zip(names, quota, strict=True)
    ]
    held = np.sort(np.concatenate(chosen_rows))
    return np.setdiff1d(np.arange(len(labels), dtype=np.int64), held), held.astype(np.int64)


def load_part(path: Path | str) -> Part:
    """Read a file that :func:`prepare` wrote; :class:`InputError` where it is anything else."""
    path = Path(path)
    arrays = _read_npz(path, "a part of a data set")
    missing = {"images", "labels", "indices", "about"} - arrays.keys()
    if missing:
        raise InputError(f"{path}: array {min(missing)!r} is missing; expected a file made by `lcsc data`")
    about = read_or_refuse(path, lambda: json.loads(str(arrays["about"].item())), what="a part of a data set")
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT or about.get("format_version") != FORMAT_VERSION or about.get("part") not in PARTS:
        raise InputError(
            f"{path}: found format {found!r}, expected {FORMAT!r} version {FORMAT_VERSION}; run `lcsc data`"
        )
    images, labels = _checked(path, arrays["images"], arrays["labels"])
    indices = arrays["indices"].astype(np.int64)
    if indices.shape != labels.shape:
        raise InputError(f"{path}: indices have shape {indices.shape}, expected {labels.shape}; run `lcsc data` again")
    return Part(images, labels, indices, about["part"], str(about["data"]), sha256_of(path), path)


def require_training_part(part: Part, what: str) -> None:
    """Refuse held-out images where ``what`` (such as "training") must not see them."""
    if part.part != "train":
        raise InputError(
            f"{part.path}: found the {part.part} part of {part.data_id}, expected the train part; "
            f"{what} never sees held-out images, give train.npz"
        )


@overload
def to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]: ...
@overload
def to_float(images: torch.Tensor) -> torch.Tensor: ...
def to_float(images: NDArray[np.uint8] | torch.Tensor) -> NDArray[np.float32] | torch.Tensor:
    """Images of bytes v as float32 in [-1, 1]: (2 v - 255) / 255.

    A product with 1 / 255, since CUDA replaces a quotient by it: all devices and NumPy give the same values.
    """
    if isinstance(images, np.ndarray):
        return (2 * images.astype(np.float32) - np.float32(255)) * np.float32(1 / 255)
    return (2 * images.float() - 255) * (1 / 255)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1], clamped and rounded to the nearest byte (half to even), uint8."""
    import torch

    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def quantise(images: torch.Tensor) -> torch.Tensor:
    """Images in [-1, 1] rounded to bytes and back: the values that :func:`to_float` gives, float32."""
    return to_float(((images.clamp(-1, 1) + 1) * 127.5).round())


def _read_source(settings: Mapping[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    source = settings["source"]
    if source not in SOURCES:
        raise InputError(f"data: source is {source!r}, expected one of {', '.join(sorted(SOURCES))}")
    return SOURCES[source](settings)


def _digits(settings: Mapping[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The 1,797 handwritten digits of scikit-learn, 8x8, whose values 0 to 16 become bytes 0 to 255."""
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    images = np.round(values * (255 / DIGITS_WHITE)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return images, labels.astype(np.int64)


def _npz_file(settings: Mapping[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A user's own file: images uint8 [N, C, H, W] or [N, H, W], labels integers [N]."""
    if not settings.get("path"):
        raise InputError("data: source 'npz' has no path; give the .npz file with images and labels")
    path = Path(settings["path"])
    arrays = _read_npz(path, "an .npz file of images")
    for name in ("images", "labels"):
        if name not in arrays:
            raise InputError(f"{path}: array {name!r} is missing, found {sorted(arrays)}; add it")
    images = arrays["images"]
    return _checked(path, images[:, None] if images.ndim == 3 else images, arrays["labels"])


SOURCES = {"digits": _digits, "npz": _npz_file}


def _checked(path: Path, images: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise InputError(f"{path}: images are {images.dtype} {list(images.shape)}, expected uint8 [N, C, H, W]")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected integers [{len(images)}]")
    return images, labels.astype(np.int64)


def _read_npz(path: Path, what: str) -> dict[str, NDArray[Any]]:
    def read() -> dict[str, NDArray[Any]]:
        try:
            with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                return {name: _array(archive.read(f"{name}.npy")) for name in names}
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
            raise ValueError(str(error) or "not a zip archive") from error

    return read_or_refuse(path, read, what=what)


def _array(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", ZIP_DATE), content.getvalue())
    return buffer.getvalue()
