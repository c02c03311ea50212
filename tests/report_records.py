"""Records of a made-up run, valid in their formats: what the tests of the report are given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from records import rewrite

from lcsc.files import write_json
from lcsc.report import ReportInputs

STEPS = list(range(1025, 2001, 25))
KEYS = (
    ("cnn", "held-out", True),
    ("cnn", "train", True),
    ("mlp", "held-out", False),
    ("mlp", "train", False),
)
LEVELS = {
    "last": ("Last checkpoint", "last", (380.2, 371.5, 220.4, 214.2)),
    "single": ("Best single (Checkpoint 2,000)", "single", (352.1, 344.0, 205.3, 199.8)),
    "uniform": ("Uniform average", "uniform", (190.6, 182.3, 88.7, 82.4)),
    "ema": ("Best EMA (EMA 0.97)", "ema", (145.3, 137.9, 63.2, 58.3)),
    "decayed": ("LR decayed, EMA 0.98", "decayed", (149.1, 141.2, 69.4, 64.0)),
}
SEARCH_LEVELS = (83.4, 74.8, 47.1, 42.9)


JOINT = "joint: cnn + pixels"
GUARDS = {"last": (0.71, 0.86), "ema": (0.76, 0.88)}  # precision and recall; others have (0.7, 0.95)
REAL_GUARD = {"kd": {"held-out": {"mean": -0.02, "spread": 0.03}}, "precision": 0.97, "recall": 0.94}
REAL_GUARD |= {"density": 1.01, "coverage": 0.965}


def ema_row(rate: float, count: int = len(STEPS)) -> list[float]:
    weights = rate ** (25.0 * np.arange(count)[::-1])
    return [float(value) for value in weights / weights.sum()]


def searched_row(seed: int, count: int = len(STEPS)) -> list[float]:
    row = np.array(ema_row(0.985, count)) * 1.4 + np.random.default_rng(seed).normal(0, 0.035, count)
    return [float(value) for value in row + (1 - row.sum()) / count]


def columns_of(levels: Sequence[float]) -> dict[str, Any]:
    shifts = (-0.011, 0.002, 0.009)
    found = {}
    for (extractor, part, _), level in zip(KEYS, levels, strict=True):
        values = [level * (1 + shift) for shift in shifts]
        found[f"{extractor}/{part}"] = {
            "values": values,
            "mean": float(np.mean(values)),
            "spread": float(np.std(values, ddof=1)),
            "half": {"images": 1000, "values": values, "mean": level * 1.3, "spread": level / 60},
            "limit": {"values": values, "mean": level * 0.7, "spread": level / 40},
        }
    return found


def make_run(
    folder: Path,
    *,
    run: str = "digits",
    searches: Sequence[str] = ("evolution",),
    label: str = "LCSC (evolution)",
    generations: int = 50,
    population: int = 30,
    groups: int = 1,
    factor: float = 1.0,
    failed: Sequence[int] = (),
    kept: float | None = 0.62,
    own: Sequence[str] = (),
    fresh: Sequence[str] = (),
) -> ReportInputs:
    """Write all records of a run below ``folder``; candidates numbered in ``failed`` have no score.

    The searches keep ``kept`` of their gain; those in ``own`` lowered the distance by an extractor of their own,
    those in ``fresh`` on fresh noise after their first generation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [*LEVELS, *searches]
    search_levels = [level * factor for level in SEARCH_LEVELS]
    weights = {"kind": "coefficients", "coefficients": [searched_row(1)] * groups}
    file = {"kind": "file", "path": "ema/rate-0.9700.safetensors", "sha256": "0" * 64}
    methods = [
        method_record(name, title, family, file if family in ("ema", "decayed") else weights, levels)
        for name, (title, family, levels) in LEVELS.items()
    ]
    for place, search in enumerate(searches):
        title = label if place == 0 else f"LCSC ({search})"
        methods.append(method_record(search, title, "search", weights, [v * (1 + 0.1 * place) for v in search_levels]))
        methods[-1]["searched_extractor"] = searched_extractor(search in own)
        held_out = 0.3 if kept is None else 0.5 * kept
        methods[-1]["gain"] = {
            "searched": 0.5, "spread": 0.01, "held_out": held_out, "column": "mlp/held-out", "kept": kept,
        }  # fmt: skip
    columns = [
        {
            "key": f"{extractor}/{part}", "extractor": extractor, "part": part, "searched": searched,
            "label": f"FD ({extractor}), {'held-out' if part == 'held-out' else 'training'} images",
            "floor": 6.4 if extractor == "cnn" else 4.2,
        }
        for extractor, part, searched in KEYS
    ]  # fmt: skip
    hindsight = columns_of((141.0, 133.0, 61.0, 56.0))
    evaluation = {
        "run": run, "images": 10000, "blocks": 3, "steps": STEPS, "columns": columns, "methods": methods,
        "protocols": {column["key"]: "ab" * 32 for column in columns},
        "protocol_words": [
            "Weights: 40 checkpoints at training steps 1,025 to 2,000; coefficients of a row sum to 1.",
            "Images: consistency sampler, one network evaluation an image, rounded to uint8.",
            "Search: 2,000 images on search noise against the training images, extractor cnn.",
            "Report: three blocks of 10,000 images on noise that nothing else used.",
        ],
        "hindsight": {
            key: {"name": "ema 0.965", "label": "EMA 0.965", **value}
            for key, value in hindsight.items()
        },
        "neighbours_of_real": {"held-out to train": 2.31},
        "guards": {
            "neighbours": 5, "images": 600, "pieces": 5, "kd_images": 600, "kd_subsets": 10, "jackknife_blocks": 20,
            "real": dict.fromkeys(("cnn", "mlp"), REAL_GUARD),
        },
    }  # fmt: skip
    write_json(folder / "evaluation.json", evaluation, kind="evaluation")
    write_json(folder / "baselines.json", baselines_record(), kind="baselines")
    selections = [write_selection(folder, search, groups, factor, search in own) for search in searches]
    files = [
        write_generation(folder, search, number, population, groups, factor * (7 if search in own else 1), failed)
        for search in searches
        for number in range(generations)
    ]
    for file in files:
        if file.parent.name in fresh:
            draw_fresh_noise(file)
    return ReportInputs(
        evaluation=folder / "evaluation.json",
        baselines=folder / "baselines.json",
        selections=selections,
        generations=files,
        samples=write_samples(folder, ["last", "ema", *searches]),
        timings=write_timings(folder, names[len(LEVELS) :]),
    )


def method_record(name: str, label: str, family: str, weights: Any, levels: Sequence[float]) -> dict[str, Any]:
    neighbours = {"train": {"mean": 2.05 + levels[0] / 400}, "held-out": {"mean": 2.4 + levels[0] / 400}}
    copies = {"ratio": neighbours["train"]["mean"] / 2.31, "share": 0.69, "expected": 0.6661}
    return {
        "name": name, "label": label, "family": family, "weights": weights, "columns": columns_of(levels),
        "neighbours": neighbours, "copies": copies, "gain": None,
        "guards": {extractor: guard_record(name, levels[place]) for extractor, place in (("cnn", 0), ("mlp", 2))},
    }  # fmt: skip


def guard_record(name: str, level: float) -> dict[str, Any]:
    precision, recall = GUARDS.get(name, (0.7, 0.95))
    return {
        "kd": {
            "held-out": {"mean": level / 50, "spread": level / 400},
            "train": {"mean": level / 55, "spread": level / 350},
        },
        "precision": precision, "recall": recall, "density": 0.48, "coverage": 0.66,
        "jackknife": {
            "held-out": {"spread": level / 90, "bias": level / 200},
            "train": {"spread": level / 95, "bias": level / 200},
        },
    }  # fmt: skip


def baselines_record() -> dict[str, Any]:
    def entry(name: str, family: str, label: str, score: float | None, row: list[float] | None) -> dict[str, Any]:
        weights = {"kind": "coefficients", "coefficients": [row]} if row else {
            "kind": "file", "path": f"{name}.safetensors", "sha256": "0" * 64,
        }  # fmt: skip
        return {
            "name": name, "family": family, "label": label, "parameter": None, "weights": weights,
            "score": score, "reason": None if score is not None else "not finite",
        }  # fmt: skip

    last = [0.0] * (len(STEPS) - 1) + [1.0]
    entries = [
        entry("last", "last", "Last checkpoint", 371.2, last),
        entry("uniform", "uniform", "Uniform average", 182.0, [1 / len(STEPS)] * len(STEPS)),
        entry("ema 0.97", "ema", "EMA 0.97", 137.7, None),
        entry("ema 0.9999", "ema", "EMA 0.9999", None, None),
        entry("ema-shaped 0.97", "ema-shaped", "EMA-shaped 0.97", 139.6, ema_row(0.97)),
        entry("ema-shaped 0.98", "ema-shaped", "EMA-shaped 0.98", 138.4, ema_row(0.98)),
        entry("decayed", "decayed", "LR decayed, EMA 0.98", 141.0, None),
    ]
    chosen = {"last": "last", "uniform": "uniform", "ema": "ema 0.97", "decayed": "decayed"}
    return {"protocol": "cd" * 32, "images": 10000, "entries": entries, "chosen": chosen}


def searched_extractor(own: bool) -> dict[str, str]:
    return {"name": "joint", "words": JOINT, "sha256": "1" * 64} if own else {"name": "cnn", "words": "cnn"}


def write_selection(folder: Path, search: str, groups: int, factor: float, own: bool = False) -> Path:
    finalists = [
        {
            "coefficients": [searched_row(place + group) for group in range(groups)],
            "search_score": 72.6 * factor, "selection_score": (74.9 + place) * factor,
            "generation": 49, "candidate": place,
        }
        for place in (1, 2)
    ]  # fmt: skip
    path = folder / "search" / search / "selection.json"
    record = {
        "search": search, "method": "evolution", "protocol": "cd" * 32, "finalists": finalists, "chosen": 0,
        "evaluations": 1500, "searched_extractor": searched_extractor(own),
    }  # fmt: skip
    write_json(path, record, kind="selection")
    return path


def write_generation(
    folder: Path, search: str, number: int, population: int, groups: int, factor: float, failed: Sequence[int]
) -> Path:
    rng = np.random.default_rng(1000 + number)
    middle = factor * (72 + 95 * np.exp(-number / 12))
    scores = middle * (1 + np.abs(rng.normal(0, 0.16, population)) + rng.exponential(0.05, population))
    if number == 0:
        scores = factor * np.geomspace(140, 900, population)
    candidates = []
    for place in range(population):
        fails = number * population + place in failed
        candidates.append(
            {
                "coefficients": [searched_row(place)] * groups,
                "score": None if fails else float(scores[place]),
                "reason": "not finite" if fails else None,
                "origin": "mutation" if number else "ema-shaped 0.97",
            }
        )
    path = folder / "search" / search / f"generation-{number:04d}.json"
    record = {
        "method": "evolution", "search": search, "generation": number,
        "protocol": "ef" * 32, "bank": "aa" * 32, "parent": None,
        "candidates": candidates, "state": {}, "stopped": False,
    }  # fmt: skip
    write_json(path, record, kind="generation")
    return path


def draw_fresh_noise(path: Path) -> None:
    record = json.loads(path.read_text())
    for place, candidate in enumerate(record["candidates"] if record["generation"] else ()):
        candidate["noise"] = record["generation"] * len(record["candidates"]) + place
    rewrite(path, record)


def write_samples(folder: Path, names: Sequence[str]) -> Path:
    from sklearn.datasets import load_digits

    digits = np.round(load_digits().images[:32, None] * 255 / 16)
    rng = np.random.default_rng(5)
    noisy = [digits + rng.normal(0, spread, digits.shape) for spread in np.linspace(70, 10, len(names))]
    images = np.clip(np.stack(noisy), 0, 255).astype(np.uint8)
    path = folder / "samples.npz"
    np.savez(path, names=np.array(names), images=images)
    return path


def write_timings(folder: Path, searches: Sequence[str]) -> list[Path]:
    rows = [
        ("train-constant", 21.4, 0, 0), ("train-decayed", 18.2, 0, 0), ("collect", 2.1, 0, 0),
        ("extractor-cnn", 9.4, 0, 0), ("extractor-mlp", 6.3, 0, 0), ("reference", 1.2, 0, 0),
        ("baselines", 31.0, 82, 820000),
        *((f"search-{name}", 61.5, 750, 1500000) for name in searches for _ in "ab"),
        ("evaluate", 28.0, 8, 240000), ("export", 1.1, 0, 0),
    ]  # fmt: skip
    paths = []
    for number, (step, seconds, evaluations, images) in enumerate(rows):
        paths.append(folder / "timings" / f"{number:02d}-{step}.json")
        record = {
            "step": step, "seconds": seconds, "evaluations": evaluations, "images": images,
            "peak_memory_mb": 512.5, "device": "cpu", "threads": 1, "workers": 2,
        }  # fmt: skip
        write_json(paths[-1], record, kind="timing")
    return paths


def write_landscape(folder: Path, name: str = "raw", *, run: str = "digits", gap: bool = False) -> Path:
    """A landscape of ``run`` below ``folder``: bowls with their bottom at x 0.6, y 0.4; ``gap``: a point has none.

    The last checkpoint stands on a corner, the average on the plane, and the search beyond the frame.
    """
    places = np.linspace(-0.5, 1.5, 11).round(6).tolist()
    distances: dict[str, list[list[float | None]]] = {
        key: [[bottom * (1 + 3 * ((x - 0.6) ** 2 + (y - 0.4) ** 2)) for x in places] for y in places]
        for key, bottom in (("cnn/held-out", 60.0), ("mlp/held-out", 30.0))
    }
    if gap:
        distances["mlp/held-out"][0][0] = None
    marks = [
        ("last", "Last checkpoint", 0.0, 1.0, 0.0),
        ("ema", "Best EMA (EMA 0.97)", 0.5, 0.5, 0.25),
        ("evolution", "LCSC (evolution)", 2.4, -0.3, 0.8),
    ]
    record = {
        "run": run, "name": name, "checkpoints": "raw", "rate": None, "images": 2000, "bank": "aa" * 32,
        "corners": [{"step": step, "coefficients": searched_row(step)} for step in (1100, 1500, 2000)],
        "lengths": [2.0, 3.0], "angle": 72.4, "xs": places, "ys": places, "distances": distances,
        "marks": [
            {
                "name": mark, "label": label, "x": x, "y": y, "residual": residual,
                "distances": {"cnn/held-out": 75.0 + place, "mlp/held-out": 41.5 + place},
            }
            for place, (mark, label, x, y, residual) in enumerate(marks)
        ],
        "columns": [
            {"key": f"{extractor}/held-out", "extractor": extractor, "searched": extractor == "cnn"}
            for extractor in ("cnn", "mlp")
        ],
        "protocols": dict.fromkeys(distances, "ab" * 32),
    }  # fmt: skip
    path = folder / "landscapes" / f"{name}.json"
    write_json(path, record, kind="landscape")
    return path
