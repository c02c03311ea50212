"""Small records of several runs, with numbers known beforehand: what the makers of figures over runs are given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from records import rewrite
from report_records import make_run, write_landscape
from runs import make_bank

from lcsc.evaluation import Score
from lcsc.files import write_json
from lcsc.search.base import Candidate
from lcsc.search.driver import open_journal
from lcsc.search.generations import write_generation

PLACES, SEEDS = (1000, 2000, 8000), (0, 1, 2)
LEVELS = {"last": 160.0, "ema": 100.0, "evolution": 60.0, "gradient": 40.0, "from-1000": 80.0}
SEARCHES = {"evolution": 2000, "gradient": 2000}  # images of a score
EXTRACTORS = {"unseen": "mlp", "searched": "cnn"}
# Scores of the searches by generation, those along gradients after the first, and the seconds of each; 2 workers.
EVOLUTION = ((200.0, 150.0, 180.0), (120.0, 90.0, 100.0))
GRADIENT = ((180.0, 160.0), (110.0,), (80.0,), (60.0,))
WORKERS = 2


def name_of(x: int, seed: int) -> str:
    return f"r-{x}-{seed}"


ABOUT = {
    name_of(x, seed): {"training": name_of(x, seed), "steps": x, "searches": SEARCHES} for x in PLACES for seed in SEEDS
}


def distance(method: str, role: str, x: int, seed: int) -> float:
    """A power law in the training steps, so that where one method reaches another has a closed form."""
    return LEVELS[method] * (x / 1000) ** -0.5 * (1 + 0.1 * seed) * (2 if role == "searched" else 1)


def rows_of(method: str, x: int, seed: int) -> NDArray[np.float64]:
    """Coefficients [G, 40] that sum to 1: a row for each of the bank's five tensors along gradients, else one."""
    rng = np.random.default_rng([len(method), x, seed])
    rows = rng.normal(0, 0.1, (5 if method == "gradient" else 1, 40))
    return np.asarray(rows + (1 - rows.sum(axis=1, keepdims=True)) / 40)


def make_results(folder: Path) -> Path:
    """The records of all runs below ``folder``; those at the first place have a bank, journals and a landscape."""
    for x in PLACES:
        for seed in SEEDS:
            run = name_of(x, seed)
            searches = [*SEARCHES, *(["from-1000"] if x == 2000 else [])]
            make_run(folder / run, run=run, searches=searches, generations=1, population=2)
            _set_numbers(folder / run, x, seed)
            _time(folder / run, x, seed)
            if x == PLACES[0]:
                make_bank(folder / run, 40)
                write_search(folder / run, "evolution", EVOLUTION, 1.0 + seed)
                write_search(folder / run, "gradient", GRADIENT, 1.0, gradients=4.0)
    write_landscape(folder / name_of(PLACES[0], 0), run=name_of(PLACES[0], 0))
    return folder


def _set_numbers(folder: Path, x: int, seed: int) -> None:
    """Give the methods that figures show the distances and coefficients of this module."""
    path = folder / "evaluation.json"
    record = json.loads(path.read_text())
    for method in record["methods"]:
        name = method["name"]
        if name not in LEVELS:
            continue
        for role, extractor in EXTRACTORS.items():
            column = method["columns"][f"{extractor}/held-out"]
            column["mean"] = distance(name, role, x, seed)
            column["values"] = [column["mean"]] * len(column["values"])
        if name != "ema":
            groups = "tensor" if name == "gradient" else "all"
            rows = rows_of(name, x, seed).tolist()
            method["weights"] = {"kind": "coefficients", "coefficients": rows, "groups": groups}
    rewrite(path, record)


def _time(folder: Path, x: int, seed: int) -> None:
    """What the jobs took: 0.02 s a step of training, and more with each seed."""
    for path in (folder / "timings").iterdir():
        path.unlink()
    write_timing(folder, "train-constant", 0.02 * (1 + seed) * x)
    write_timing(folder, "evaluate", 30.0)
    for number, scores in enumerate(EVOLUTION):  # a round for each generation
        write_timing(folder, f"search-evolution-{number:04d}", 3.0 + number, len(scores))
    write_timing(folder, "search-gradient-0000", 5.0 + seed, sum(map(len, GRADIENT)))
    for search, scores in (("evolution", EVOLUTION), ("gradient", GRADIENT)):
        write_timing(folder, f"select-{search}", 2.0)
        path = folder / "search" / search / "selection.json"
        rewrite(path, {**json.loads(path.read_text()), "evaluations": sum(map(len, scores))})


def write_timing(folder: Path, step: str, seconds: float, evaluations: int = 1) -> None:
    record = {"step": step, "seconds": seconds, "evaluations": evaluations, "images": 1, "peak_memory_mb": 1.0}
    write_json(
        folder / "timings" / f"{step}.json",
        {**record, "device": "cpu", "threads": 1, "workers": WORKERS},
        kind="timing",
    )


def write_search(
    folder: Path, search: str, scores: Sequence[Sequence[float]], seconds: float, gradients: float | None = None
) -> None:
    """The generations of a search with its journal; from the second on along ``gradients`` of so many s."""
    place = folder / "search" / search
    for path in place.glob("generation-*.json"):
        path.unlink()
    about: dict[str, Any] = {"protocol": "ef" * 32, "bank": "aa" * 32, "settings": {"method": search}}
    journal = open_journal(place, about)
    extractor: Mapping[str, str] = {"name": "cnn", "words": "cnn", "sha256": "1" * 64}
    for number, of_generation in enumerate(scores):
        along = number > 0 and gradients is not None
        candidates = [Candidate(np.full((1, 40), value / 1000 + number), "made up") for value in of_generation]
        took = gradients if along and gradients is not None else seconds
        found = [Score(value, None, took, np.zeros((1, 40)) if along else None) for value in of_generation]
        for candidate, score in zip(candidates, found, strict=True):
            journal.add(candidate, score, with_gradient=along)
        said = {**about, "method": search, "search": search, "extractor": extractor}
        write_generation(place, number, candidates, found, about=said, state={})
