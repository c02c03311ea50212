"""Figures over runs that are not there, and claims about lines that no figure has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]


def figure_problems(config: Section) -> Iterator[Problem]:
    """What is wrong in ``figures`` and ``claims``."""
    for name, figure in config["figures"].items():
        if figure["kind"] == "landscape":
            yield from _landscapes(("figures", name, "landscapes"), figure, config["runs"])
        else:
            yield from _points(("figures", name, "points"), figure, config["runs"])
    for place, claim in enumerate(config["claims"]):
        yield from _claim(("claims", place), claim, config["figures"])


def _points(place: tuple[str | int, ...], figure: Section, runs: Section) -> Iterator[Problem]:
    seeds = len(figure["points"][0]["runs"])
    for number, point in enumerate(figure["points"]):
        at = (*place, number)
        if isinstance(point["x"], str) != (figure["x"]["scale"] == "category"):
            expected = "words on a 'category' axis, and numbers on others"
            yield Problem((*at, "x"), found_in_words(point["x"]), expected)
        if len(point["runs"]) != seeds:
            expected = f"{seeds} as at the first point"
            yield Problem((*at, "runs"), f"{len(point['runs'])} runs", expected, "take the same training seeds")
        for run in point["runs"]:
            if run not in runs:
                yield Problem((*at, "runs"), repr(run), f"names in 'runs': {', '.join(runs)}")


def _landscapes(place: tuple[str | int, ...], figure: Section, runs: Section) -> Iterator[Problem]:
    for number, (run, name) in enumerate(figure["landscapes"]):
        if run not in runs:
            yield Problem((*place, number), repr(run), f"names in 'runs': {', '.join(runs)}")
        elif name not in runs[run]["landscapes"]:
            known = ", ".join(runs[run]["landscapes"]) or "none"
            yield Problem((*place, number), repr(name), f"a name in 'landscapes' of the run {run!r}: {known}")


def _claim(place: tuple[str | int, ...], claim: Section, figures: Section) -> Iterator[Problem]:
    lines = [name for name, figure in figures.items() if figure["kind"] == "points"]
    if claim["figure"] not in lines:
        expected = f"a name in 'figures' of the kind 'points': {', '.join(lines) or 'none'}"
        yield Problem((*place, "figure"), repr(claim["figure"]), expected)
        return
    figure, measure = figures[claim["figure"]], claim["measure"]
    for key in ("method", "base"):
        if measure[key] not in figure["methods"]:
            expected = f"a method of the figure: {', '.join(figure['methods'])}"
            yield Problem((*place, "measure", key), repr(measure[key]), expected)
    places = [point["x"] for point in figure["points"]]
    needed = ("base_at",) if measure["kind"] == "match" else ("at",)
    for key in ("at", "base_at"):
        found = measure[key]
        if (found is None and key in needed) or (found is not None and found not in places):
            expected = f"an x of the figure's points: {', '.join(map(str, places))}"
            yield Problem((*place, "measure", key), found_in_words(found), expected)
