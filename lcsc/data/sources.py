"""Where images come from. A new source is a function and an entry of :data:`SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lcsc.data import array_files, cifar10, embedded, image_files
from lcsc.data.source import Source, resized
from lcsc.errors import InputError

Opened = Callable[[Mapping[str, Any]], Source]
SOURCES: dict[str, Opened] = {
    "digits": embedded.digits,
    "mnist": embedded.mnist,
    "npz": array_files.npz,
    "folder": image_files.folder,
    "zip": image_files.archive,
    "hdf5": array_files.hdf5,
    "cifar10": cifar10.train,
}
# Sources with a test part of their own.
TEST_PARTS: dict[str, Opened] = {"cifar10": cifar10.test}
# Sources that packages ship.
EMBEDDED = ("digits", "mnist")


def open_source(settings: Mapping[str, Any]) -> Source:
    """The images that ``settings`` (source, path, size) name."""
    return _open(settings, SOURCES)


def open_held_out(settings: Mapping[str, Any]) -> Source | None:
    """Held-out images that do not have to be split off: a file of their own, or the source's test part."""
    if settings.get("held_out_path"):
        return _open({**settings, "path": settings["held_out_path"]}, SOURCES)
    return _open(settings, TEST_PARTS) if settings.get("held_out") == "test" else None


def _open(settings: Mapping[str, Any], known: Mapping[str, Opened]) -> Source:
    source = settings["source"]
    if source not in known:
        raise InputError(f"data: source is {source!r}, expected one of {', '.join(sorted(known))}")
    if source not in EMBEDDED and not settings.get("path"):
        raise InputError(f"data: source {source!r} has no path; give the place of the images")
    return resized(known[source](settings), settings.get("size"))
