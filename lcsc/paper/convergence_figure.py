"""A figure of the best score of searches over evaluations and over seconds: a line for each search of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lcsc.errors import InputError
from lcsc.paper.looks import paper_looks
from lcsc.paper.made import Made
from lcsc.paper.measures import Number
from lcsc.paper.points import Role, column_of
from lcsc.paper.progress_of_searches import WORK, Course, course_of
from lcsc.paper.records import Records
from lcsc.report.drawing import Data, Drawing, Value
from lcsc.report.figures.scales import set_log
from lcsc.report.numbers import short
from lcsc.report.style import add_legend, fit, new_figure
from lcsc.report.svg import png_bytes, svg_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADER = ("method", "run", "evaluations", "seconds", "score")
AXES = {"evaluations": "Evaluations, or gradients as costly", "seconds": "Seconds of scoring"}
Courses = Mapping[str, Sequence[Course]]  # by method, for each run


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``convergence``; ``spec`` is its section of the configuration."""
    runs = [records.run(run) for run in spec["runs"]]
    courses = {method: [course_of(run, method) for run in runs] for method in spec["methods"]}
    require_alike(courses)
    evaluation = runs[0].evaluation
    labels = {method: spec["labels"].get(method, evaluation.method(method).label) for method in courses}
    distance = column_of(evaluation, "searched").distance
    return Made(*draw(name, spec["title"], courses, labels, distance), partial(sooner, courses))


def require_alike(courses: Courses) -> None:
    """Refuse searches of one run whose scores do not compare."""
    for of_run in zip(*courses.values(), strict=True):
        if len({course.protocol for course in of_run}) != 1:
            found = ", ".join(f"{course.method} {course.protocol[:12]}" for course in of_run)
            raise InputError(
                f"figures: run {of_run[0].run!r}: found protocols {found}; expected one: the same images and extractor"
            )


def sooner(courses: Courses, spec: Mapping[str, Any], role: Role) -> Number:
    """The base's work over what the method needs to be at the base's last score, by run; 0 where it never is.

    Scores are of the searched extractor, whatever ``role``.
    """
    found = []
    for ours, base in zip(courses[spec["method"]], courses[spec["base"]], strict=True):
        reached = ours.reached(base.scores[-1], spec["by"])
        found.append(0.0 if reached is None else base.work(spec["by"])[-1] / reached)
    return Number(tuple(found), (False,) * len(found))


def draw(name: str, title: str, courses: Courses, labels: Mapping[str, str], distance: str) -> tuple[Drawing, bytes]:
    """The figure as SVG with its numbers, and as PNG; ``distance`` is what the searches lowered."""
    figure = new_figure(width=8.4, height=3.8)
    panels = figure.subplots(1, len(WORK), sharey=True)
    for axes, by in zip(panels, WORK, strict=True):
        _lines(axes, courses, labels, by)
        axes.set_xlabel(AXES[by])
    scores = [score for of_runs in courses.values() for course in of_runs for score in course.scores]
    set_log(panels[0], "y", min(scores) / 1.1, max(scores) * 1.1, coarse=True)
    panels[0].set_ylabel(f"Best {distance} on search noise")
    add_legend(figure, panels[0], columns=4)
    alt = _alt(title, courses, labels)
    drawing = Drawing(
        name=name,
        title=title,
        alt=alt,
        caption=(
            f"{title}: a line for each of {len(next(iter(courses.values())))} training seeds, to training images on "
            "search noise. A gradient counts as the evaluations that are made in its time; seconds are those "
            "of scoring, as if workers shared it evenly."
        ),
        svg=svg_text(figure, name, alt),
        data=Data(HEADER, tuple(_rows(courses))),
    )
    return drawing, png_bytes(figure)


def _lines(axes: Axes, courses: Courses, labels: Mapping[str, str], by: str) -> None:
    look = paper_looks(list(courses))
    for method, of_runs in courses.items():
        for place, course in enumerate(of_runs):
            label = fit(labels[method]) if place == 0 else None
            work, colour = course.work(by), look[method].colour
            axes.step(work, course.scores, where="post", color=colour, linewidth=1.3, alpha=0.85, label=label)
            axes.plot(work[-1], course.scores[-1], marker=look[method].marker, color=colour, markeredgecolor="white")
    every = [work for of_runs in courses.values() for course in of_runs for work in course.work(by) if work > 0]
    set_log(axes, "x", min(every) / 1.1, max(every) * 1.15, coarse=True)


def _alt(title: str, courses: Courses, labels: Mapping[str, str]) -> str:
    sentences = []
    for method, of_runs in courses.items():
        ends = ", ".join(
            f"{short(course.scores[-1])} after {short(course.evaluations[-1])} evaluations and "
            f"{short(course.seconds[-1])} seconds"
            for course in of_runs
        )
        sentences.append(f"{labels[method]}: {ends}.")
    return f"{title}. {' '.join(sentences)}"


def _rows(courses: Courses) -> list[tuple[Value, ...]]:
    """The places at which the best score falls, and the end."""
    return [
        (method, course.run, course.evaluations[place], course.seconds[place], score)
        for method, of_runs in courses.items()
        for course in of_runs
        for place, score in enumerate(course.scores)
        if place in (0, len(course.scores) - 1) or score < course.scores[place - 1]
    ]
