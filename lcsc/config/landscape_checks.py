"""Landscapes through checkpoints that a training does not save, or over no area."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lcsc.config.problems import Problem

Section = Mapping[str, Any]


def landscape_problems(place: tuple[str, ...], landscape: Section, run: Section) -> Iterator[Problem]:
    """What is impossible in the ``landscape`` at ``place`` of ``run``."""
    if landscape["low"] >= landscape["high"]:
        yield Problem((*place, "low"), f"{landscape['low']:g}", f"less than high ({landscape['high']:g})")
    if "train" not in run:
        return  # the job looks whether checkpoints of one's own are there
    first, last, every = (run["train"][key] for key in ("save_from", "steps", "save_every"))
    for number, step in enumerate(landscape["steps"]):
        if not first <= step <= last or (step - first) % every:
            expected = f"a step that the training saves: every {every} from {first} to {last}"
            yield Problem((*place, "steps", number), str(step), expected)
