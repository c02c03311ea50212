"""How much each job of a run does, counted from the resolved configuration alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lcsc.config import rounds, shards

Section = Mapping[str, Any]
# Checkpoints of a folder of one's own whose number the configuration does not say.
USUAL_CHECKPOINTS = 50
# Of null rates: as many as lcsc.baselines.KEPT has, and as starts of searches.
SUITED_RATES, SUITED_STARTS = 18, 8
# Start points beside the EMA-shaped ones: the last checkpoint and the uniform average.
OTHER_STARTS = 2
# Weights that a fine-tuning hands to the baselines for each rate: one for each quarter.
TUNED_PER_RATE = 4


@dataclass(frozen=True)
class Work:
    """What a job does: ``evaluations`` of ``images`` each, ``gradients`` of ``gradient_images`` each.

    ``measures`` is how many extractors see each image.
    """

    evaluations: int = 0
    images: int = 0
    gradients: int = 0
    gradient_images: int = 0
    measures: int = 1

    @property
    def made(self) -> int:
        """Images made by evaluations."""
        return self.evaluations * self.images

    @property
    def carried_back(self) -> int:
        """Images that gradients are made of."""
        return self.gradients * self.gradient_images


def checkpoints(run: Section, given: int | None = None) -> int:
    """K: ``given``, else that of the run's training, or of its own folder as far as the configuration says it."""
    if given is not None:
        return given
    if "train" in run:
        train = run["train"]
        return int((train["steps"] - train["save_from"]) // train["save_every"] + 1)
    return int(run["checkpoints"].get("count") or USUAL_CHECKPOINTS)


def network_evaluations(run: Section) -> int:
    """NFE: network evaluations for each image; 1 where a generator of one's own makes it."""
    sampler = run.get("sampler", {"kind": "none"})
    if sampler["kind"] == "consistency":
        return len(sampler.get("sigmas") or sampler["ts"][:-1])
    return int(sampler.get("steps", 1)) * (2 if sampler["kind"] == "heun" else 1)


def of_search(run: Section, name: str, count: int | None = None, first: int = 0, k: int | None = None) -> Work:
    """``count`` generations from ``first`` on, all of them by default."""
    entry = run["searches"][name]
    images = int(entry.get("images") or run["evaluation"]["search"]["images"])
    count = entry["generations"] - first if count is None else count
    if entry["method"] == "gradient":
        begins = int(first == 0)
        starts = begins * (_rates(entry.get("initial_rates"), SUITED_STARTS) + OTHER_STARTS)
        return Work(starts, images, count - begins, images)
    evaluations = count * _population(entry, checkpoints(run, k))
    if entry["method"] == "greedy-soup":
        evaluations = count - 1 + checkpoints(run, k) if first == 0 else count
    budget = entry.get("evaluations")
    evaluations = evaluations if budget is None else min(evaluations, int(budget))
    return Work(_after_heats(evaluations, images, entry.get("racing")), images)


def _population(entry: Section, k: int) -> int:
    if entry["method"] == "cma-es" and not entry.get("population"):
        return 4 + int(3 * math.log(max(k - 1, 1)))  # Hansen 2016, table 1
    return int(entry.get("population") or 1)


def _after_heats(evaluations: int, images: int, racing: Section | None) -> int:
    if not racing:
        return evaluations
    share: float = racing["keep"] + racing["images"] / images
    return math.ceil(evaluations * share)


def _rates(rates: list[float] | None, suited: int) -> int:
    return suited if rates is None else len(rates)


def of_baselines(run: Section, k: int | None = None) -> Work:
    """Every baseline on selection noise."""
    grids, count = run["baselines"], checkpoints(run, k)
    widths = len(grids.get("post_hoc") or ())
    found = 2 + (count if grids.get("singles", True) else 0)
    found += sum(n < count for n in grids.get("windows") or ()) + widths
    found += _rates(grids.get("ema_shaped"), SUITED_RATES)
    if "train" in run:
        train = run["train"]
        emas = len(train["ema_rates"])
        twins = bool(train.get("decayed", True)) + bool(train["continue"])
        found += emas + twins * (1 + emas) + (widths if train.get("power_ema") else 0)
    found += sum(TUNED_PER_RATE * len(entry["rates"]) for entry in (run["fine_tune"] or {}).values())
    return Work(found, int(run["evaluation"]["selection"]["images"]))


def of_selection(run: Section, name: str) -> Work:
    """A search's finalists on selection noise, with the averages among them."""
    entry = run["searches"][name]
    own = 2 if entry.get("extractor") else 1
    return Work(int(entry["finalists"]) * own, int(run["evaluation"]["selection"]["images"]))


def of_tuning(run: Section, name: str) -> Work:
    """A fine-tuning at all its rates, and the choice of the average that it sets out from."""
    entry, searched = run["fine_tune"][name], int(run["evaluation"]["search"]["images"])
    starts = 0
    if entry["start"] == "best-average":
        starts = _rates(entry.get("initial_rates"), SUITED_STARTS) + OTHER_STARTS
    images = int(entry["images"] or max(2, searched // 2))
    return Work(starts, searched, int(entry["gradients"]) * len(entry["rates"]), images)


def of_evaluation(run: Section, k: int | None = None) -> Work:
    """The final evaluation: one row for each family and search, and, if asked for, every average in hindsight."""
    grids, report = run["baselines"], run["evaluation"]["report"]
    hindsight = _rates(grids.get("ema_shaped"), SUITED_RATES) + len(grids.get("post_hoc") or ())
    families = 6 if grids.get("singles", True) else 5
    if "train" in run:
        train = run["train"]
        hindsight += len(train["ema_rates"]) + (len(grids.get("post_hoc") or ()) if train.get("power_ema") else 0)
        families += bool(train.get("decayed", True)) + bool(train["continue"])
    rows = families + len(run["searches"]) + len(run["fine_tune"] or {})
    rows += hindsight if report.get("hindsight", True) else 0
    return Work(rows * int(report["blocks"]), int(report["images"]), measures=2)


def of_generation(run: Section, name: str, k: int | None = None) -> Work:
    """One generation of a search, not its first."""
    return of_search(run, name, 1, 1, k)


def of_share(run: Section, name: str, k: int | None = None) -> Work:
    """What one shard of a generation does; its first generation, which may be the larger one."""
    whole, count = of_search(run, name, 1, 0, k), shards(run["searches"][name])
    later = of_generation(run, name, k)
    return Work(
        math.ceil(max(whole.evaluations, later.evaluations) / count),
        whole.images,
        later.gradients,
        math.ceil(later.gradient_images / count),
    )


def longest_round(run: Section, name: str, k: int | None = None) -> Work:
    """The round of a search with most to do."""
    found = [of_search(run, name, count, first, k) for first, count in rounds(run["searches"][name])]
    return max(found, key=lambda work: work.made + 4 * work.carried_back)


def of_look(run: Section, name: str) -> Work:
    """What joining the shards of a generation makes itself: one candidate's images on stopping noise, if any."""
    entry = run["searches"][name]
    wanted = entry.get("stopping")
    if not wanted:
        return Work()
    return Work(1, int(wanted["images"] or entry.get("images") or run["evaluation"]["search"]["images"]))


def of_landscape(run: Section, name: str) -> Work:
    """The points of a landscape, and its marks: last, best EMA and each search."""
    entry = run["landscapes"][name]
    return Work(int(entry["points"]) ** 2 + 2 + len(run["searches"]), int(entry["images"]), measures=2)


def of_trace(run: Section, name: str) -> Work:
    """The points of the trace of a search or fine-tuning."""
    evaluation = run["evaluation"]
    images = evaluation["trace"]["images"] or evaluation["report"]["images"]
    return Work(int(evaluation["trace"]["points"]) + 1, int(images), measures=2)
