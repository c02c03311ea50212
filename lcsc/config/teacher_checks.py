"""What a distillation needs of the run that it learns from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.kinds import DISTILLATION
from lcsc.config.problems import Problem
from lcsc.config.words import found_in_words

Section = Mapping[str, Any]


def teacher_problems(place: tuple[str, ...], run: Section, runs: Section) -> Iterator[Problem]:
    """A teacher that is missing, not wanted, not there, or of another kind than the student."""
    train = run["train"]
    teacher, at = train["teacher"], (*place, "teacher")
    if train["recipe"] != DISTILLATION:
        if teacher is not None:
            yield Problem(at, f"a teacher for recipe {train['recipe']!r}", "null", "only a distillation has one")
        return
    if teacher is None:
        yield Problem(at, "null", "a run and one of its EMA rates", "name the denoiser that is distilled")
        return
    if train["continue"]:
        way_out = "its target network is not kept"
        yield Problem((*place, "continue"), str(train["continue"]), "0 for a distillation", way_out)
    other = runs.get(teacher["run"])
    if other is None or other.get("train", {}).get("recipe") != "edm":
        known = ", ".join(name for name, entry in runs.items() if entry.get("train", {}).get("recipe") == "edm")
        expected = f"a run of recipe 'edm': {known or 'none is there'}"
        yield Problem((*at, "run"), found_in_words(teacher["run"]), expected)
        return
    yield from _fits(at, run, other, teacher)


def _fits(at: tuple[str, ...], run: Section, other: Section, teacher: Section) -> Iterator[Problem]:
    if teacher["rate"] not in other["train"]["ema_rates"]:
        rates = ", ".join(map(str, other["train"]["ema_rates"]))
        yield Problem((*at, "rate"), str(teacher["rate"]), f"one of the teacher's ema_rates: {rates}")
    for key in ("network", "data"):
        if other[key] != run[key]:
            way_out = "the student starts from the teacher's weights and learns from the same images"
            yield Problem((*at, "run"), f"{teacher['run']!r}, whose {key} is another", f"the same {key}", way_out)
    for key in ("sigma_min", "sigma_max", "sigma_data"):
        found, expected = other["preconditioning"][key], run["preconditioning"][key]
        if found != expected:
            yield Problem((*at, "run"), f"{teacher['run']!r} with {key} {found}", f"{key} {expected} as this run has")
