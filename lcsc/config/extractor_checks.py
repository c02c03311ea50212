"""Which extractors can be what: searched, chosen by, judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem
from lcsc.config.search_checks import alike
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]
Place = tuple[str | int, ...]
_TWIN = "add its twin to 'extractors', the same but for 'resize: bicubic-antialias', and name that as this 'extractor'"


def extractor_problems(place: Place, entry: Section, data: Section) -> Iterator[Problem]:
    """What is impossible in an extractor's own section."""
    if "data" in entry and entry["data"] not in data:
        yield _unknown((*place, "data"), entry["data"], data, "data")
    if entry["kind"] == "classifier" and entry["architecture"] == "mlp" and entry["stages"] is not None:
        found, expected = str(entry["stages"]), "null with 'architecture: mlp'"
        yield Problem((*place, "stages"), found, expected, "take 'width', or 'architecture: cnn'")
    if (entry.get("variant") or {}).get("compile") and entry.get("mode", "legacy_pytorch") != "legacy_pytorch":
        way_out = "the network of this mode is TorchScript, which PyTorch does not compile: take 'dtype: bfloat16'"
        yield Problem((*place, "variant", "compile"), "true", "false", way_out)


def role_problems(place: Place, run: Section, extractors: Section) -> Iterator[Problem]:
    """The extractor by which a run chooses and searches, and the one by which it is judged."""
    at = (*place, "extractors")
    for role, name in run["extractors"].items():
        yield from _usable((*at, role), name, run, extractors)
        if extractors[name].get("variant"):
            way_out = "a variant is for searches: name it as 'extractor' of single searches"
            yield Problem((*at, role), f"{name!r}, a faster variant", "an exact extractor", way_out)
    searched, held_out = run["extractors"]["search"], run["extractors"]["held_out"]
    if searched == held_out:
        way_out = "a searched metric alone is no evidence, add a second extractor"
        yield Problem((*at, "held_out"), f"{searched!r} twice", "an extractor that no search uses", way_out)
    if shared := alike(extractors[searched], extractors[held_out]):
        found = f"{held_out!r} {shared} that {searched!r} has"
        way_out = "what one learns the other learns too: take another architecture"
        yield Problem((*at, "held_out"), found, "an extractor of another kind", way_out)


def searched_problems(
    place: Place, name: str | None, run: Section, extractors: Section, *, gradients: bool
) -> Iterator[Problem]:
    """The extractor of a search's own, which must be as far from the held-out one as the run's own is."""
    kept = run["extractors"]["held_out"]
    if name is not None:
        yield from _usable(place, name, run, extractors)
        if name == kept:
            way_out = "it is the run's extractors.held_out, by which the result is judged: take another"
            yield Problem(place, repr(name), "an extractor that may be searched", way_out)
        elif shared := alike(extractors[name], extractors[kept]):
            found = f"{name!r} {shared} that the run's extractors.held_out, {kept!r}, has"
            yield Problem(place, found, "an extractor of another kind", "what one learns the other learns too")
    name = name or run["extractors"]["search"]
    if gradients and not differentiable(extractors[name]):
        yield Problem(place, f"{name!r}, whose resizing has no gradient", "an extractor with gradients", _TWIN)


def differentiable(entry: Section) -> bool:
    """Whether an extractor's features have gradients in the images."""
    resize = entry.get("resize")
    return entry["kind"] == "classifier" or (resize is not None and str(resize).endswith("-antialias"))


def _usable(place: Place, name: str, run: Section, extractors: Section) -> Iterator[Problem]:
    """It must be there, and must have seen no held-out image."""
    if name not in extractors:
        yield _unknown(place, name, extractors, "extractors")
    trained_on = extractors[name].get("data")
    if trained_on not in (None, run["data"]):
        found = f"{name!r}, trained on {trained_on!r}"
        expected = f"an extractor trained on {run['data']!r}"
        yield Problem(place, found, expected, "another set's training images may be among the held-out ones")


def _unknown(place: Place, name: str, known: Section, what: str) -> Problem:
    return Problem(place, found_in_words(name), f"a name in '{what}': {', '.join(known)}")
