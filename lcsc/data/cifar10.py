"""CIFAR-10 as its authors publish it: pickled batches of Python 2, in a folder or the ``.tar.gz`` they come in."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data.array_pickles import read_arrays
from lcsc.data.source import Source, in_memory
from lcsc.errors import InputError
from lcsc.refusals import read_or_refuse

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
SHAPE = (3, 32, 32)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# A batch takes 31 MB; an archive that unpacks to more is none of CIFAR-10.
MOST_BYTES, MOST_MEMBERS = 128 << 20, 64


def train(settings: Mapping[str, Any]) -> Source:
    """The 50,000 training images."""
    return _source(Path(settings["path"]), TRAIN)


def test(settings: Mapping[str, Any]) -> Source:
    """The 10,000 test images."""
    return _source(Path(settings["path"]), TEST)


def _source(path: Path, names: Sequence[str]) -> Source:
    what = "CIFAR-10 for Python (a folder, or cifar-10-python.tar.gz)"
    contents = read_or_refuse(path, lambda: _folder(path, names) if path.is_dir() else _archive(path, names), what=what)
    missing = next((name for name in names if name not in contents), None)
    if missing is not None:
        raise InputError(f"{path}: {missing} is missing; expected {what}")
    batches = [_batch(path / name, contents[name]) for name in names]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return in_memory(images, labels, CLASSES)


def _folder(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The batches in ``path``, or in the folder of the archive that lies there."""
    inner = path / "cifar-10-batches-py"
    place = inner if inner.is_dir() else path
    found = {name: place / name for name in names if (place / name).is_file()}
    for file in found.values():
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"{file.name} has more than {MOST_BYTES >> 20} MiB")
    return {name: file.read_bytes() for name, file in found.items()}


def _archive(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
            for number, member in enumerate(archive):
                if member.size > MOST_BYTES or number >= MOST_MEMBERS:
                    raise ValueError(f"{member.name} unpacks to {member.size >> 20} MiB, member {number + 1}")
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if member.isfile() and name in names else None
                if content is not None:
                    contents[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(str(error) or "no archive") from error
    return contents


def _batch(path: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [N, 3, 32, 32] and labels [N] of one batch."""
    batch = read_or_refuse(path, lambda: read_arrays(io.BytesIO(content)), what="a batch of CIFAR-10")
    batch = {_text(key): value for key, value in batch.items()} if isinstance(batch, dict) else {}
    images, labels = batch.get("data"), batch.get("labels")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != 3072:
        found = f"{images.dtype} {list(images.shape)}" if isinstance(images, np.ndarray) else "none"
        raise InputError(f"{path}: images are {found}, expected uint8 [N, 3072] as in CIFAR-10's batches")
    whole = isinstance(labels, list) and all(type(label) is int and 0 <= label < len(CLASSES) for label in labels)
    if labels is None or not whole or len(labels) != len(images):
        raise InputError(f"{path}: labels are no list of {len(images)} numbers from 0 to 9; expected CIFAR-10")
    return images.reshape(-1, *SHAPE), np.array(labels, np.int64)


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
