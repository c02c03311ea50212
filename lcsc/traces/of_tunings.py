"""The trace of a fine-tuning: its start, and its milestones at the learning rate that selection noise chose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lcsc import weights
from lcsc.errors import InputError
from lcsc.files import read_json
from lcsc.groups import make_groups
from lcsc.protocol import require_bank
from lcsc.scoring import score_candidates
from lcsc.search import SearchSpace
from lcsc.search.base import Candidate
from lcsc.search.gradient import Gradient
from lcsc.traces.record import Measures, Point, measured_record
from lcsc.tuning.files import KIND, MANIFEST, exponent
from lcsc.tuning.files import WEIGHTS as KEPT


def of_tuning(
    measures: Measures,
    baselines: Mapping[str, Any],
    folder: Path,
    parts: Mapping[str, float],
    settings: Mapping[str, Any],
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The record of the fine-tuning in ``folder``, with the best of all rates and milestones in hindsight.

    ``parts`` are the seconds of each learning rate, ``settings`` as in :func:`lcsc.traces.record.of_search`, ``before``
    the trace of the search that it started from. What an evaluation takes is timed here.
    """
    path = folder / MANIFEST
    manifest = read_json(path, kind=KIND)
    require_bank(str(manifest.get("bank")), measures.context.bank.identity, path)
    rate, family = _chosen(manifest, baselines, path)
    run = next(run for run in manifest["rates"] if float(run["rate"]) == rate)
    if exponent(rate) not in parts or not run["scores"]:
        raise InputError(f"{path}: found no seconds of the rate {exponent(rate)}, expected those of its timing")
    images, workers = int(manifest["images"]), measures.context.workers.count
    evaluation = _evaluation_seconds(measures, images, manifest) / workers
    gradient = float(parts[exponent(rate)]) / len(run["scores"])
    begun = _begun(manifest, settings, measures, evaluation / images, before, path)
    costs = {"gradient": gradient, "equivalents": gradient / evaluation * images / int(settings["unit"])}
    points = [Point(begun, _start(manifest), {"search_score": run["scores"][0], "rate": rate})]
    points += [_milestone(folder, run, kept, begun, costs) for kept in run[KEPT]]
    further = [_milestone(folder, run, kept, begun, costs) for run in manifest["rates"] for kept in run[KEPT]]
    about = {"name": settings["name"], "family": family, "method": "tune", "groups": None, "search_images": images}
    about |= {"search_protocol": manifest["protocol"], "workers": workers, "gradient_cost": gradient / evaluation}
    return measured_record(measures, baselines, settings, about, points, further) | {"course": []}


def _chosen(manifest: Mapping[str, Any], baselines: Mapping[str, Any], path: Path) -> tuple[float, str]:
    """The learning rate whose best milestone is the best on selection noise, and the family of it."""
    names = {
        f"{manifest['name']} {exponent(float(run['rate']))} {kept['gradients']}": float(run["rate"])
        for run in manifest["rates"]
        for kept in run[KEPT]
    }
    scored = [entry for entry in baselines["entries"] if entry["name"] in names and entry["score"] is not None]
    if not scored:
        raise InputError(f"{path}: found no milestone that the baselines scored; score them again with --tuned")
    best = min(scored, key=lambda entry: float(entry["score"]))
    return names[best["name"]], str(best["family"])


def _start(manifest: Mapping[str, Any]) -> dict[str, Any]:
    start = manifest["start"]
    return weights.of_coefficients(np.asarray(start["coefficients"], np.float64), start["groups"])


def _milestone(
    folder: Path,
    run: Mapping[str, Any],
    kept: Mapping[str, Any],
    begun: Mapping[str, float],
    costs: Mapping[str, float],
) -> Point:
    count, scores = int(kept["gradients"]), run["scores"]
    spent = {
        "evaluations": begun["evaluations"],
        "gradients": begun["gradients"] + count,
        "equivalents": begun["equivalents"] + count * costs["equivalents"],
        "seconds": begun["seconds"] + count * costs["gradient"],
    }
    # The distance at a gradient is that before its step: after the last one nobody looked.
    score = scores[count] if count < len(scores) else None
    file = {"kind": "file", "path": str(folder / kept["file"]), "sha256": kept["sha256"]}
    return Point(spent, file, {"search_score": score, "rate": float(run["rate"]), "after": count})


def _evaluation_seconds(measures: Measures, images: int, manifest: Mapping[str, Any]) -> float:
    """What one evaluation of ``images`` takes in a search by value, while all workers make some."""
    context, start = measures.context, manifest["start"]
    evaluator = context.evaluator(measures.extractors[0], measures.references[0], "search", images)
    candidate = Candidate(np.asarray(start["coefficients"], np.float64), "start")
    candidates = [candidate] * (context.block * context.workers.count)
    groups = make_groups(context.bank.tensors, start["groups"])
    return median(score.seconds for score in score_candidates(context, evaluator, candidates, groups=groups))


def _begun(
    manifest: Mapping[str, Any],
    settings: Mapping[str, Any],
    measures: Measures,
    image_seconds: float,
    before: Mapping[str, Any] | None,
    path: Path,
) -> dict[str, float]:
    """The work before the first gradient: the averages, of which the start is the best, or the search before."""
    search, unit = manifest["start"]["search"], int(settings["unit"])
    if (search is None) != (before is None) or (before is not None and before.get("name") != search):
        found = None if before is None else before.get("name")
        raise InputError(f"{path}: found the trace of {found!r}, expected that of {search!r}, the start; give --after")
    if before is not None:
        last = before["points"][-1]
        return {key: last[key] for key in ("evaluations", "gradients", "equivalents", "seconds")}
    rates = {"initial_rates": manifest["settings"].get("initial_rates")}
    count = len(Gradient(SearchSpace(tuple(measures.context.bank.steps)), rates).ask())
    own = count * unit / int(manifest["images"])  # in evaluations of the fine-tuning's own images
    return {"evaluations": own, "gradients": 0, "equivalents": float(count), "seconds": count * unit * image_seconds}
