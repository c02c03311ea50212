"""Sets of images that are well formed but impossible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]


class Shipped(NamedTuple):
    """A set that a package ships: its images, classes, and (channels, height, width)."""

    images: int
    classes: int
    shape: tuple[int, int, int]


SHIPPED = {"digits": Shipped(1797, 10, (1, 8, 8)), "mnist": Shipped(5000, 10, (1, 28, 28))}
SHAPES = {**{name: found.shape for name, found in SHIPPED.items()}, "cifar10": (3, 32, 32)}
# Sources that have a test part, and those whose arrays have names.
TESTED = ("cifar10",)
NAMED = ("npz", "hdf5")


def data_problems(place: tuple[str, ...], entry: Section) -> Iterator[Problem]:
    """What is wrong with the set of images ``entry`` at ``place``."""
    source = entry["source"]
    if source in SHIPPED:
        yield from _shipped(place, entry, SHIPPED[source])
    elif entry["path"] is None:
        yield Problem((*place, "path"), "nothing", "the images' path", "add it, or take 'source: digits'")
    yield from _held_out(place, entry)
    for key in ("images_key", "labels_key"):
        if entry[key] is not None and source not in NAMED:
            yield Problem((*place, key), found_in_words(entry[key]), f"null with source {source}", "remove it")
    if entry["size"] is not None and source in SHAPES and entry["size"] > SHAPES[source][-1]:
        expected = f"at most {SHAPES[source][-1]}, as the images have"
        yield Problem((*place, "size"), str(entry["size"]), expected, "images are made smaller only")


def _shipped(place: tuple[str, ...], entry: Section, shipped: Shipped) -> Iterator[Problem]:
    for key in ("path", "held_out_path"):
        if entry[key] is not None:
            yield Problem((*place, key), found_in_words(entry[key]), "no path", "remove it, or take 'source: npz'")
    most = shipped.images - shipped.classes
    if isinstance(entry["held_out"], int) and not shipped.classes <= entry["held_out"] <= most:
        expected = f"{shipped.classes} to {most}, so that both parts have every class"
        yield Problem((*place, "held_out"), str(entry["held_out"]), expected)


def _held_out(place: tuple[str, ...], entry: Section) -> Iterator[Problem]:
    """Held-out images are split off, or a part of the source, or files of their own: one of these."""
    at, found, source = (*place, "held_out"), entry["held_out"], entry["source"]
    if found == "test" and source not in TESTED:
        yield Problem(at, '"test"', f"a number with source {source}", f"only {', '.join(TESTED)} has a test part")
    if entry["held_out_path"] is None:
        if found is None:
            yield Problem(at, "nothing", "a number of images", "add it, or give held_out_path")
        return
    at = (*place, "held_out_path")
    if source in TESTED:
        yield Problem(at, found_in_words(entry["held_out_path"]), f"null with {source}", "take 'held_out: test'")
    if found is not None:
        yield Problem((*place, "held_out"), str(found), "null beside held_out_path", "remove one of them")
    if entry["held_out_path"] == entry["path"]:
        yield Problem(at, "the training images' path", "another one", "nothing may see held-out images before the end")


def known_shape(entry: Section) -> list[int] | None:
    """The shape of the images of ``entry`` where it can be known before they are read."""
    if entry["source"] not in SHAPES:
        return None
    channels, *sides = SHAPES[entry["source"]]
    return [channels, *([entry["size"]] * 2 if entry["size"] is not None else sides)]
