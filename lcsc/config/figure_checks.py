"""Figures over runs that are not there, and claims about lines that no figure has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lcsc.config.claim_checks import claim_problems
from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]
Place = tuple[str | int, ...]


def figure_problems(config: Section) -> Iterator[Problem]:
    """What is wrong in ``figures`` and ``claims``."""
    figures, runs = config["figures"], config["runs"]
    for name, figure in figures.items():
        yield from _figure(("figures", name), figure, figures, runs)
    for place, claim in enumerate(config["claims"]):
        yield from claim_problems(("claims", place), claim, figures)


def _figure(place: Place, figure: Section, figures: Section, runs: Section) -> Iterator[Problem]:
    if figure["kind"] == "cost":
        yield from _cost(place, figure, figures)
    if figure["kind"] == "landscape":
        yield from _landscapes((*place, "landscapes"), figure, runs)
        yield from _marks((*place, "methods"), figure, runs)
    if "points" in figure:
        yield from _points((*place, "points"), figure, runs)
    if "runs" in figure:
        yield from _runs((*place, "runs"), figure["runs"], runs)
    if figure["kind"] == "transfer":
        yield from _sources((*place, "sources"), figure)
    if figure["kind"] == "convergence":
        yield from _searches((*place, "methods"), figure, runs)


def _runs(place: Place, found: Sequence[str], runs: Section) -> Iterator[Problem]:
    for run in found:
        if run not in runs:
            yield Problem(place, repr(run), f"names in 'runs': {', '.join(runs)}")


def _points(place: Place, figure: Section, runs: Section) -> Iterator[Problem]:
    seeds = len(figure["points"][0]["runs"])
    for number, point in enumerate(figure["points"]):
        at = (*place, number)
        if figure["kind"] == "points" and isinstance(point["x"], str) != (figure["x"]["scale"] == "category"):
            expected = "words on a 'category' axis, and numbers on others"
            yield Problem((*at, "x"), found_in_words(point["x"]), expected)
        if len(point["runs"]) != seeds:
            expected = f"{seeds} as at the first point"
            yield Problem((*at, "runs"), f"{len(point['runs'])} runs", expected, "take the same training seeds")
        yield from _runs((*at, "runs"), point["runs"], runs)


def _sources(place: Place, figure: Section) -> Iterator[Problem]:
    known = [point["x"] for point in figure["points"]]
    for number, source in enumerate(figure["sources"]):
        if source["x"] not in known:
            expected = f"an x of the figure's points: {', '.join(map(str, known))}"
            yield Problem((*place, number, "x"), found_in_words(source["x"]), expected)


def _searches(place: Place, figure: Section, runs: Section) -> Iterator[Problem]:
    for run in figure["runs"]:
        for method in figure["methods"]:
            if run in runs and method not in runs[run]["searches"]:
                expected = f"searches of the run {run!r}: {', '.join(runs[run]['searches']) or 'none'}"
                yield Problem(place, repr(method), expected)


def _cost(place: Place, figure: Section, figures: Section) -> Iterator[Problem]:
    lines = [name for name, each in figures.items() if each["kind"] == "points" and "ema" in each["methods"]]
    if figure["figure"] not in lines:
        expected = f"a figure of the kind 'points' with the method 'ema': {', '.join(lines) or 'none'}"
        yield Problem((*place, "figure"), repr(figure["figure"]), expected)
        return
    places = [point["x"] for point in figures[figure["figure"]]["points"]]
    if figure["at"] not in places:
        expected = f"an x of the points of {figure['figure']!r}: {', '.join(map(str, places))}"
        yield Problem((*place, "at"), found_in_words(figure["at"]), expected)


def _marks(place: Place, figure: Section, runs: Section) -> Iterator[Problem]:
    for run in dict.fromkeys(run for run, _ in figure["landscapes"] if run in runs):
        known = ["last", "ema", *runs[run]["searches"]]
        for method in figure["methods"] or ():
            if method not in known:
                yield Problem(place, repr(method), f"what landscapes of the run {run!r} mark: {', '.join(known)}")


def _landscapes(place: Place, figure: Section, runs: Section) -> Iterator[Problem]:
    for number, (run, name) in enumerate(figure["landscapes"]):
        if run not in runs:
            yield Problem((*place, number), repr(run), f"names in 'runs': {', '.join(runs)}")
        elif name not in runs[run]["landscapes"]:
            known = ", ".join(runs[run]["landscapes"]) or "none"
            yield Problem((*place, number), repr(name), f"a name in 'landscapes' of the run {run!r}: {known}")
