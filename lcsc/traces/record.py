"""What a search or a fine-tuning had reached after so much work, on report noise and against held-out images.

A record for figures and tables, beside the final evaluation: nothing is chosen by it. It holds seconds, so its bytes
differ from one run of a search to the next, though its distances do not where the same candidates are seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcsc import weights
from lcsc.errors import InputError
from lcsc.evaluation import measure, score_features
from lcsc.extractors import Extractor
from lcsc.metrics.reference_file import ReferenceFile
from lcsc.progress import Progress
from lcsc.scoring import Context, require_match
from lcsc.search.generations import Generation
from lcsc.traces import trace

KIND = "trace"
BASE = "ema"  # the baseline that is measured on the same images


@dataclass(frozen=True)
class Measures:
    """Both extractors, the first of which chose, with their statistics of held-out images, on report noise."""

    context: Context
    extractors: Sequence[Extractor]
    references: Sequence[ReferenceFile]
    images: int

    def __post_init__(self) -> None:
        for extractor, reference in zip(self.extractors, self.references, strict=True):
            require_match(extractor, reference)
            if reference.about["part"] != "held-out":
                raise InputError(
                    f"reference {reference.about['data']}: found statistics of the {reference.about['part']} images, "
                    "expected those of the held-out images"
                )

    @property
    def keys(self) -> list[str]:
        """The columns' names, as in the final evaluation."""
        return [f"{extractor.name}/held-out" for extractor in self.extractors]

    def about(self) -> dict[str, Any]:
        """What is measured, as JSON holds it."""
        columns = [
            {"key": key, "extractor": extractor.name, "searched": place == 0, **extractor.measured}
            for place, (key, extractor) in enumerate(zip(self.keys, self.extractors, strict=True))
        ]
        protocols = {
            key: self.context.protocol(extractor, reference, "report", self.images).hash
            for key, extractor, reference in zip(self.keys, self.extractors, self.references, strict=True)
        }
        return {"images": self.images, "columns": columns, "protocols": protocols, "bank": self.context.bank.identity}

    def of(
        self, records: Sequence[Mapping[str, Any]], what: str = "points of the trace"
    ) -> list[dict[str, float | None]]:
        """The distances by column of weights, as :mod:`lcsc.weights` records them; None where there is none.

        ``what`` they are is said by the lines of progress.
        """
        noise = self.context.noise("report", 0, self.images)
        progress = Progress(what, len(records))

        def work(record: Mapping[str, Any]) -> dict[str, float | None]:
            vector = weights.load(record, self.context.bank)
            with self.context.workers.generator() as generator:
                generator.load(vector)
                features = measure(generator, self.extractors, noise, self.context.chunk)
            found = zip(self.keys, features, self.references, strict=True)
            return {key: score_features(each, reference.reference)[0] for key, each, reference in found}

        return self.context.workers.map(work, records, done=lambda distances: progress.advance())


@dataclass(frozen=True)
class Point:
    """Weights after some work: ``spent`` are evaluations, gradients, equivalents and seconds."""

    spent: Mapping[str, float]
    weights: Mapping[str, Any]
    about: Mapping[str, Any]


def of_search(
    measures: Measures,
    baselines: Mapping[str, Any],
    generations: Sequence[Generation],
    folder: Path,
    settings: Mapping[str, Any],
    workers: int,
) -> dict[str, Any]:
    """The record of the search whose ``generations`` and journal are in ``folder``.

    ``settings``: run, points (how many amounts of work), unit (images of an evaluation equivalent) and search_images
    (those of the search's scores). ``workers`` shared the scores by value.
    """
    images, unit = int(settings["search_images"]), int(settings["unit"])
    seconds = trace.Seconds(folder, generations[0].about, images)
    found = trace.moments(generations, seconds, workers, images)
    cost = trace.gradient_cost(generations, seconds, workers)
    weight = cost or 0.0
    start = [moment for moment in found if moment.work.equivalents(weight) <= _first_work(generations, found, weight)]
    bounds = start[-1].work.equivalents(weight), found[-1].work.equivalents(weight)
    also = [amount * unit / images for amount in trace.ALSO]
    wanted = trace.amounts(*bounds, int(settings["points"]), also)
    shown = list(trace.seen_at(found, wanted, weight))
    groups = generations[0].groups
    points = [
        Point(
            _spent(moment.work, weight, images / unit),
            weights.of_coefficients(moment.item.candidate.coefficients, groups),
            {
                "search_score": moment.item.score,
                "generation": moment.generation,
                "candidate": moment.place,
            },
        )
        for moment in shown
    ]
    course = [
        {
            **_spent(moment.work, weight, images / unit),
            "search_score": moment.item.score,
            "fresh": moment.item.candidate.iteration != 0,
        }
        for moment in trace.improvements(found)
    ]
    method = generations[0].settings["method"]
    about = {"name": settings["name"], "family": "search", "method": method, "groups": groups}
    about |= {"search_images": images, "search_protocol": generations[0].protocol, "workers": workers}
    return measured_record(measures, baselines, settings, {**about, "gradient_cost": cost}, points) | {"course": course}


def _first_work(generations: Sequence[Generation], found: Sequence[trace.Moment], cost: float) -> float:
    """The work of the start points: the first generation, or up to the first candidate that has a score."""
    later = len(found) - sum(len(generation.scored) for generation in generations[1:])
    return found[max(later, 1) - 1].work.equivalents(cost)


def _spent(work: trace.Work, cost: float, size: float) -> dict[str, float]:
    spent = {"evaluations": work.evaluations, "gradients": work.gradients}
    return {**spent, "equivalents": size * work.equivalents(cost), "seconds": work.seconds}


def measured_record(
    measures: Measures,
    baselines: Mapping[str, Any],
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    points: Sequence[Point],
    further: Sequence[Point] = (),
) -> dict[str, Any]:
    """Measure the best EMA, the ``points``, and ``further`` ones, of which the best in hindsight is kept."""
    base = next(entry for entry in baselines["entries"] if entry["name"] == baselines["chosen"][BASE])
    measured = measures.of([base["weights"], *(point.weights for point in [*points, *further])])
    shown, others = measured[1 : 1 + len(points)], measured[1 + len(points) :]
    record = {"run": settings["run"], "unit": int(settings["unit"]), **about, **measures.about()}
    record |= {"base": {"label": base["label"], "distances": measured[0]}}
    record["points"] = [
        {**point.spent, **point.about, "distances": distances} for point, distances in zip(points, shown, strict=True)
    ]
    if further:
        known = [{**point.about, "distances": each} for point, each in zip(further, others, strict=True)]
        record["hindsight"] = {key: best for key in measures.keys if (best := _best(known, key)) is not None}
    return record


def _best(known: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    """The best in one column, chosen on the very noise that it is reported on."""
    scored = [each for each in known if each["distances"][key] is not None]
    if not scored:
        return None
    best = min(scored, key=lambda each: float(each["distances"][key]))
    return {**best, "distance": best["distances"][key]}
