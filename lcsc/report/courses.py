"""What searches and fine-tunings had reached after so much work, as ``lcsc trace`` wrote it, beside the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.report.fields import Fields
from lcsc.report.headline import HELD_OUT
from lcsc.report.reading import read_evaluation
from lcsc.report.records import Column, Evaluation

FILE = "trace.json"
FOLDERS = ("search", "tune")


@dataclass(frozen=True)
class Spent:
    """Work: evaluations, gradients, what both are in evaluations of the run's usual images, and seconds."""

    evaluations: float
    gradients: float
    equivalents: float
    seconds: float


@dataclass(frozen=True)
class CoursePoint:
    """Distances by column after ``spent``; None where there is none."""

    spent: Spent
    distances: Mapping[str, float | None]


@dataclass(frozen=True)
class Improvement:
    """The best score on search noise after ``spent``; scores on ``fresh`` noise cannot be compared."""

    spent: Spent
    score: float
    fresh: bool


@dataclass(frozen=True)
class Trace:
    """The course of one search or fine-tuning; ``base`` is the best EMA on the same images, by column.

    ``unit``: images of an evaluation; ``protocol``: of the scores on search noise; ``hindsight``: the best of all
    rates of a fine-tuning.
    """

    name: str
    family: str
    unit: int
    protocol: str
    base: Mapping[str, float]
    points: tuple[CoursePoint, ...]
    course: tuple[Improvement, ...]
    hindsight: Mapping[str, float]

    @property
    def method(self) -> str:
        """Its name among the methods of the evaluation: a fine-tuning stands there under its family."""
        return self.name if self.family == "search" else self.family

    def ratios(self, column: str) -> list[tuple[Spent, float]]:
        """Distance over the best EMA's after each amount of work, where there is one."""
        found = ((point.spent, point.distances[column]) for point in self.points)
        return [(spent, distance / self.base[column]) for spent, distance in found if distance is not None]


@dataclass(frozen=True)
class TracedRun:
    """A run's evaluation with its traces; ``tunings`` tells which fine-tuning the evaluation shows of each family."""

    evaluation: Evaluation
    traces: tuple[Trace, ...]
    tunings: Mapping[str, str]

    def shown(self, method: str) -> Trace | None:
        """The trace of a method of the evaluation; None where it has none."""
        wanted = self.tunings.get(method, method)
        return next((trace for trace in self.traces if trace.method == method and trace.name == wanted), None)

    @property
    def columns(self) -> list[Column]:
        """Those of held-out images, the searched extractor's last."""
        found = [column for column in self.evaluation.columns if column.part == HELD_OUT]
        return sorted(found, key=lambda column: column.searched)


def read_run(folder: Path) -> TracedRun:
    """The evaluation of the run in ``folder`` and the traces of its searches and fine-tunings, of which it has some."""
    evaluation = read_evaluation(folder / "evaluation.json")
    paths = [path for part in FOLDERS for path in sorted(folder.glob(f"{part}/*/{FILE}"))]
    keys = [column.key for column in evaluation.columns if column.part == HELD_OUT]
    traces = tuple(read_trace(path, keys) for path in paths)
    return TracedRun(evaluation, traces, _tunings(folder / "evaluation.json"))


def read_runs(folders: Sequence[Path]) -> list[TracedRun]:
    """All runs of ``folders``; refuses one without traces or with other columns than the first."""
    if len({folder.resolve() for folder in folders}) != len(folders):
        raise InputError("curves: found a run twice, expected each once")
    runs = [read_run(folder) for folder in folders]
    for folder, run in zip(folders, runs, strict=True):
        if not run.traces:
            raise InputError(
                f"{folder}: found no {FILE}, expected one for each search; make `traces` with the workflow"
            )
        keys, expected = ([column.key for column in one.columns] for one in (run, runs[0]))
        if keys != expected:
            raise InputError(f"{folder}: found the columns {keys}, expected {expected} as in the first run")
    return runs


def read_trace(path: Path, keys: Sequence[str]) -> Trace:
    """Read one trace with the columns ``keys``; :class:`InputError` where it is not in order."""
    fields = Fields(path, read_json(path, kind="trace"))
    points = tuple(_point(item, keys) for item in fields.children("points"))
    if not points:
        fields.refuse("points", [], "at least one point")
    base = fields.child("base").child("distances")
    hindsight = fields.child("hindsight") if "hindsight" in fields else None
    return Trace(
        name=fields.text("name"),
        family=fields.text("family"),
        unit=fields.whole("unit"),
        protocol=fields.text("search_protocol"),
        base={key: base.number(key) for key in keys},
        points=points,
        course=tuple(_improvement(item) for item in fields.children("course")),
        hindsight={} if hindsight is None else {key: hindsight.child(key).number("distance") for key in hindsight},
    )


def _spent(fields: Fields) -> Spent:
    return Spent(*(fields.number(key) for key in ("evaluations", "gradients", "equivalents", "seconds")))


def _point(fields: Fields, keys: Sequence[str]) -> CoursePoint:
    distances = fields.child("distances")
    return CoursePoint(_spent(fields), {key: distances.number_or_none(key) for key in keys})


def _improvement(fields: Fields) -> Improvement:
    return Improvement(_spent(fields), fields.number("search_score"), fields.flag("fresh"))


def _tunings(path: Path) -> dict[str, str]:
    """The fine-tuning whose weights stand for each method that is one: the folder that these lie in."""
    found = {}
    for method in read_json(path, kind="evaluation")["methods"]:
        file = Path(str(method["weights"].get("path", "")))
        if str(method["family"]).startswith("tuned") and len(file.parts) > 2:
            found[str(method["name"])] = file.parts[-3]
    return found
