"""The record of a landscape: distances over the plane, and marks for what training and searches gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lcsc import weights
from lcsc.final_rows import methods
from lcsc.paper.landscape import Plane, axis, corners, plane
from lcsc.traces.record import Measures

KIND = "landscape"
BASELINES = ("last", "ema")  # those that are marked, beside every search


def marked(baselines: Mapping[str, Any], selections: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name, label and weights of the last checkpoint, the chosen EMA and what each search chose."""
    rows = methods(baselines, selections)
    shown = [row for row in rows if row["name"] in BASELINES or row["family"] == "search"]
    return [{key: row[key] for key in ("name", "label", "weights")} for row in shown]


def record(measures: Measures, marks: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The landscape that ``settings`` (run, name, landscape) ask for, as JSON holds it.

    ``distances`` has [Y][X] numbers for each column; those of ``marks`` are of the weights themselves, which stand off
    the plane by ``residual`` of their distance from θ₀.
    """
    asked, bank = settings["landscape"], measures.context.bank
    rows = corners(bank.steps, asked["checkpoints"], float(asked["rate"]), asked["steps"])
    places = axis(float(asked["low"]), float(asked["high"]), int(asked["points"]))
    points = plane(rows, places, places).reshape(-1, bank.K)
    through = Plane(*(weights.load(weights.of_coefficients(row[None]), bank) for row in rows))
    wanted = [weights.of_coefficients(point[None]) for point in points]
    wanted += [mark["weights"] for mark in marks]
    found = measures.of(wanted, "points of the landscape")
    return {
        "run": settings["run"],
        "name": settings["name"],
        "checkpoints": asked["checkpoints"],
        "rate": asked["rate"] if asked["checkpoints"] == "ema" else None,
        "corners": [
            {"step": step, "coefficients": row.tolist()} for step, row in zip(asked["steps"], rows, strict=True)
        ],
        "lengths": list(through.lengths),
        "angle": through.angle,
        "xs": places.tolist(),
        "ys": places.tolist(),
        "distances": {key: _rows([each[key] for each in found], len(places)) for key in measures.keys},
        "marks": [
            {
                "name": mark["name"],
                "label": mark["label"],
                **asdict(through.project(weights.load(mark["weights"], bank))),
                "distances": distances,
            }
            for mark, distances in zip(marks, found[len(points) :], strict=True)
        ],
        **measures.about(),
    }


def _rows(values: Sequence[float | None], count: int) -> list[list[float | None]]:
    """The first count² ``values`` as [Y][X]."""
    return [list(values[count * row : count * (row + 1)]) for row in range(count)]
