"""Sets of images that are well formed but impossible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
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
# How those who publish statistics resize images for Inception; clean-fid has statistics for each mode, named after it.
INCEPTION_MODES = ("clean", "legacy_pytorch", "legacy_tensorflow")
MODES = {"pytorch-fid": "legacy_pytorch", "edm": "legacy_tensorflow", "openai": "legacy_tensorflow"}


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


def statistics_problems(place: tuple[str, ...], entry: Section, extractors: Section) -> Iterator[Problem]:
    """Published statistics of an extractor that is not there, or not the one that they are of."""
    for name, parts in (entry["statistics"] or {}).items():
        if name not in extractors:
            expected = f"a name in 'extractors': {', '.join(extractors)}"
            yield Problem((*place, name), f"the name {name!r}", expected)
        for part, given in parts.items():
            if given is not None:
                yield from _published((*place, name, part), given, extractors[name])


def _published(place: tuple[str, ...], given: Section, extractor: Section) -> Iterator[Problem]:
    kind, mode, made_by = extractor["kind"], extractor.get("mode"), given["made_by"]
    way_out = "distances by another network or resizing are other numbers"
    if kind == "classifier":
        yield Problem(place, "published statistics", "an extractor that the workflow does not train", way_out)
    elif made_by != "own" and kind != "inception":
        expected = f"'own' with an extractor of kind {kind}"
        yield Problem((*place, "made_by"), repr(made_by), expected, "that network's features are inception's")
    elif made_by != "own" and extractor.get("resize") is not None:
        expected = "an extractor whose resize is null, its mode's own"
        yield Problem(place, f"one with resize {extractor['resize']!r}", expected, way_out)
    elif made_by in MODES and mode != MODES[made_by]:
        expected = f"an extractor of the mode {MODES[made_by]!r}, as {made_by} uses"
        yield Problem(place, f"one of the mode {mode!r}", expected, way_out)
    named = next((known for known in INCEPTION_MODES if f"_{known}_" in PurePath(given["path"]).name), mode)
    if made_by == "clean-fid" and named != mode:
        yield Problem((*place, "path"), f"statistics of the mode {named!r}", f"the extractor's, {mode!r}", way_out)
    if PurePath(given["path"]).suffix != ".npz":
        way_out = "load it with the code base that made it, and write numpy.savez(file, mu=..., sigma=...)"
        yield Problem((*place, "path"), found_in_words(given["path"]), "an .npz file with mu and sigma", way_out)


def known_shape(entry: Section) -> list[int] | None:
    """The shape of the images of ``entry`` where it can be known before they are read."""
    if entry["source"] not in SHAPES:
        return None
    channels, *sides = SHAPES[entry["source"]]
    return [channels, *([entry["size"]] * 2 if entry["size"] is not None else sides)]
