"""Claims about numbers that their figure does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]
Place = tuple[str | int, ...]
# The measures that a claim about a figure of a kind can have.
MEASURES: Mapping[str, tuple[str, ...]] = {
    "points": ("ratio", "speed-up", "match"),
    "methods": ("ratio",),
    "transfer": ("ratio",),
    "similarity": ("similarity",),
    "convergence": ("sooner",),
    "cost": ("cost",),
}
# The places that a measure needs.
NEEDED: Mapping[str, tuple[str, ...]] = {"ratio": ("at",), "speed-up": ("at",), "match": ("base_at",)}
BASE = "ema"


def claim_problems(place: Place, claim: Section, figures: Section) -> Iterator[Problem]:
    """What is wrong in a claim about one of ``figures``."""
    known = {name: MEASURES[figure["kind"]] for name, figure in figures.items() if figure["kind"] in MEASURES}
    name, measure = claim["figure"], claim["measure"]
    if name not in known:
        expected = f"a name in 'figures', not of a landscape or of coefficients: {', '.join(known) or 'none'}"
        yield Problem((*place, "figure"), repr(name), expected)
        return
    if measure["kind"] not in known[name]:
        expected = f"a measure of a figure of the kind {figures[name]['kind']!r}: {', '.join(known[name])}"
        yield Problem((*place, "measure", "kind"), repr(measure["kind"]), expected)
        return
    yield from _methods((*place, "measure"), measure, figures[name])
    if "points" in figures[name]:
        yield from _places((*place, "measure"), measure, figures[name])
    elif measure["at"] is not None or measure["base_at"] is not None:
        key = "at" if measure["at"] is not None else "base_at"
        yield Problem((*place, "measure", key), found_in_words(measure[key]), "nothing: this figure has no places")


def _methods(place: Place, measure: Section, figure: Section) -> Iterator[Problem]:
    methods = methods_of(figure)
    for key in ("method",) if measure["kind"] == "cost" else ("method", "base"):
        if measure[key] not in methods:
            yield Problem((*place, key), repr(measure[key]), f"a method of the figure: {', '.join(methods)}")


def methods_of(figure: Section) -> list[str]:
    """The methods that a figure shows, each once."""
    if figure["kind"] != "transfer":
        return list(figure["methods"])
    taken = [source["method"] for source in figure["sources"] if source["method"] is not None]
    return list(dict.fromkeys([BASE, figure["searched"], *taken]))


def _places(place: Place, measure: Section, figure: Section) -> Iterator[Problem]:
    places = [point["x"] for point in figure["points"]]
    for key in ("at", "base_at"):
        found = measure[key]
        if (found is None and key in NEEDED[measure["kind"]]) or (found is not None and found not in places):
            expected = f"an x of the figure's points: {', '.join(map(str, places))}"
            yield Problem((*place, key), found_in_words(found), expected)
