"""Folders and zip archives of images (PNG, JPEG, WebP), read by Pillow one at a time.

Images are in the natural order of their names. Their labels come from EDM's ``dataset.json`` where there is one, else
from the first level of sub-folders, numbered in natural order; without sub-folders all are 0.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lcsc.data import area
from lcsc.data.natural import natural_key
from lcsc.data.source import Source
from lcsc.errors import InputError, reason_of
from lcsc.refusals import read_or_refuse

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FORMATS = ("PNG", "JPEG", "WEBP")
LABELS = "dataset.json"
GREY, COLOUR = ("1", "L"), ("P", "RGB", "CMYK", "YCbCr")
# What one entry of an archive may unpack to.
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class Files:
    """Files by their names below ``root``, which messages name, and how one is opened."""

    root: Path
    names: Sequence[str]
    open: Callable[[str], IO[bytes]]

    def where(self, name: str) -> str:
        """The file ``name`` in a message."""
        return f"{self.root}/{name}"


def folder(settings: Mapping[str, Any]) -> Source:
    """The images below a folder."""
    root = Path(settings["path"])
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(f"{root}: found {found}, expected a folder of images; correct data.path")
    names = [path.relative_to(root).as_posix() for path in _walk(root)]
    return _source(Files(root, names, lambda name: (root / name).open("rb")), settings)


def archive(settings: Mapping[str, Any]) -> Source:
    """The images in a zip archive, such as those that EDM's tools make."""
    root = Path(settings["path"])

    def read() -> Files:
        file = zipfile.ZipFile(root)
        names = [entry.filename for entry in file.infolist() if not entry.is_dir() and _wanted(entry.filename)]
        for name in names:
            if (size := file.getinfo(name).file_size) > MOST_BYTES:
                raise InputError(f"{root}/{name}: unpacks to {size >> 20} MiB, expected at most {MOST_BYTES >> 20}")
            if file.getinfo(name).flag_bits & 1:
                raise InputError(f"{root}/{name}: is encrypted; write the archive without a password")
        return Files(root, names, file.open)

    return _source(read_or_refuse(root, read, what="a zip archive of images"), settings)


def _walk(root: Path) -> Iterator[Path]:
    """The files below ``root``; links to folders are followed, each folder once."""
    seen = set()
    for place, folders, names in os.walk(root, followlinks=True):
        here = Path(place)
        seen.add(here.resolve())
        folders[:] = [name for name in folders if (here / name).resolve() not in seen]
        yield from (here / name for name in names if _wanted((here / name).relative_to(root).as_posix()))


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not hidden and (path.suffix.lower() in SUFFIXES or path.name == LABELS)


def _source(files: Files, settings: Mapping[str, Any]) -> Source:
    names = sorted((name for name in files.names if PurePosixPath(name).name != LABELS), key=natural_key)
    if not names:
        raise InputError(f"{files.root}: found no images, expected some of {', '.join(SUFFIXES)} in it")
    labels, classes = _labels(files, names)
    channels, shape = _inspect(files, names, settings.get("size"))
    mode = "L" if channels == 1 else "RGB"

    def read(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        images = np.empty((len(rows), channels, *shape), dtype=np.uint8)
        for place, row in enumerate(rows):
            images[place] = _pixels(files, names[row], mode, settings.get("size"))
        return images

    return Source((channels, *shape), labels, read, classes)


def _inspect(files: Files, names: Sequence[str], size: int | None) -> tuple[int, tuple[int, int]]:
    """Channels and (height, width) of all images, from their heads alone; refused where they differ without ``size``.

    One image in colour makes all of them so.
    """
    colour, first = False, (0, 0)
    for name in names:
        with _opened(files, name) as image:
            _check_mode(files, name, image)
            colour |= image.mode not in GREY
            width, height = image.size
        if size is not None and min(height, width) < size:
            area.refuse(size, height, width, files.where(name))
        first = first if first != (0, 0) else (height, width)
        if size is None and (height, width) != first:
            raise InputError(
                f"{files.where(name)}: found {width}×{height} pixels, expected {first[1]}×{first[0]} as "
                f"{names[0]} has; give data.size, and images are made that size"
            )
    return (3 if colour else 1), (first if size is None else (size, size))


def _check_mode(files: Files, name: str, image: Image) -> None:
    if image.mode in (*GREY, *COLOUR) and "transparency" not in image.info:
        return
    found = "transparency" if image.mode in COLOUR or "A" in image.mode else f"pixels of type {image.mode!r}"
    raise InputError(f"{files.where(name)}: found {found}, expected grey or RGB images of 8 bits; convert it")


def _pixels(files: Files, name: str, mode: str, size: int | None) -> NDArray[np.uint8]:
    """One image as [C, H, W]."""
    with _opened(files, name) as image:
        found = np.asarray(image.convert(mode), dtype=np.uint8)
    found = found[None] if found.ndim == 2 else found.transpose(2, 0, 1)
    return found if size is None else area.smaller(found[None], size)[0]


@contextmanager
def _opened(files: Files, name: str) -> Iterator[Image]:
    """An image whose pixels are not decoded yet; :class:`InputError` with the file's name for whatever is wrong."""
    from PIL import Image, UnidentifiedImageError

    refused = (OSError, SyntaxError, ValueError, EOFError, zipfile.BadZipFile, UnidentifiedImageError)
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings(), files.open(name) as stream:
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(stream, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except bombs as error:
        most = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise InputError(
            f"{files.where(name)}: found more pixels than Pillow takes ({most}); make it smaller"
        ) from error
    except refused as error:
        raise InputError(
            f"{files.where(name)}: cannot be read as an image of {', '.join(FORMATS)} ({reason_of(error)}); remove "
            "or replace it"
        ) from error


def _labels(files: Files, names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Labels [N], and the names of the classes where these are sub-folders."""
    lists = [name for name in files.names if PurePosixPath(name).name == LABELS]
    if lists:
        return _listed(files, min(lists, key=len), names), None
    tops = [name.split("/")[0] if "/" in name else "" for name in names]
    if not any(tops):
        return np.zeros(len(names), np.int64), None
    if not all(tops):
        raise InputError(
            f"{files.where(names[tops.index('')])}: found an image beside sub-folders, which are the labels; expected "
            "all images in sub-folders, or none"
        )
    classes = sorted(set(tops), key=natural_key)
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[top] for top in tops], np.int64), tuple(classes)


def _listed(files: Files, listing: str, names: Sequence[str]) -> NDArray[np.int64]:
    """The labels of EDM's ``dataset.json``: {"labels": [[name, number], ...]}, or null for none."""
    where = Path(files.where(listing))

    def read() -> Any:
        with files.open(listing) as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
        return json.loads(content)["labels"]

    found = read_or_refuse(where, read, what="a list of labels as EDM's tools make")
    if found is None:
        return np.zeros(len(names), np.int64)
    pairs = isinstance(found, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in found)
    if not pairs or not all(isinstance(name, str) and type(label) is int for name, label in found):
        raise InputError(f"{where}: labels are no pairs of a name and a whole number; write them so, or null")
    below = listing.removesuffix(LABELS)
    numbers = {below + name: label for name, label in found}
    missing = next((name for name in names if name not in numbers), None)
    if missing is not None:
        raise InputError(f"{where}: has no label of {missing}; add it, or remove the image")
    return np.array([numbers[name] for name in names], np.int64)
