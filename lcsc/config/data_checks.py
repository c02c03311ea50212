"""Sets of images that are well formed but impossible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]


class Embedded(NamedTuple):
    """A set that a package ships: its images, classes, and (channels, height, width)."""

    images: int
    classes: int
    shape: tuple[int, int, int]


EMBEDDED = {"digits": Embedded(1797, 10, (1, 8, 8)), "mnist": Embedded(5000, 10, (1, 28, 28))}


def data_problems(place: tuple[str, ...], entry: Section) -> Iterator[Problem]:
    """What is wrong with the set of images ``entry`` at ``place``."""
    embedded = EMBEDDED.get(entry["source"])
    if embedded is not None:
        yield from _embedded_problems(place, entry, embedded)
    elif entry["path"] is None:
        yield Problem((*place, "path"), "nothing", "the file's path", "add it, or take 'source: digits'")


def _embedded_problems(place: tuple[str, ...], entry: Section, embedded: Embedded) -> Iterator[Problem]:
    if entry["path"] is not None:
        yield Problem((*place, "path"), found_in_words(entry["path"]), "no path", "remove it, or take 'source: npz'")
    most = embedded.images - embedded.classes
    if not embedded.classes <= entry["held_out"] <= most:
        expected = f"{embedded.classes} to {most}, so that both parts have every class"
        yield Problem((*place, "held_out"), str(entry["held_out"]), expected)
    if entry["size"] is not None and entry["size"] > embedded.shape[-1]:
        expected = f"at most {embedded.shape[-1]}, as the images have"
        yield Problem((*place, "size"), str(entry["size"]), expected, "images are made smaller only")


def known_shape(entry: Section) -> list[int] | None:
    """The shape of the images of ``entry`` where it can be known before they are read."""
    embedded = EMBEDDED.get(entry["source"])
    if embedded is None:
        return None
    channels, *sides = embedded.shape
    return [channels, *([entry["size"]] * 2 if entry["size"] is not None else sides)]
