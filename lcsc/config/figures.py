"""Which runs a figure shows, and what the step that draws it must know of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Section = Mapping[str, Any]


def runs_of(figure: Section, figures: Section) -> list[str]:
    """The runs of ``figure``, each once; those of the figure that it is about, where it is about one."""
    if figure["kind"] == "landscape":
        found = [run for run, _ in figure["landscapes"]]
    elif figure["kind"] == "cost":
        found = runs_of(figures[figure["figure"]], figures)
    elif "points" in figure:
        found = [run for point in figure["points"] for run in point["runs"]]
    else:
        found = list(figure["runs"])
    return list(dict.fromkeys(found))


def figure_settings(config: Section) -> dict[str, Any]:
    """The settings of the step ``figures``: figures, claims, and whose training each run that they show combines."""
    figures, runs = config["figures"], config["runs"]
    shown = dict.fromkeys(run for figure in figures.values() for run in runs_of(figure, figures))
    about = {run: _about(run, runs) for run in shown}
    return {"figures": figures, "claims": config["claims"], "runs": about}


def _about(run: str, runs: Section) -> dict[str, Any]:
    """The run whose training it is, null for checkpoints of one's own, its steps, and the images of each search."""
    section, owner = runs[run], runs[run].get("training_of", run)
    train = runs[owner].get("train")
    steps = None if train is None else train["steps"]
    images = {
        name: entry["images"] or section["evaluation"]["search"]["images"]
        for name, entry in section["searches"].items()
    }
    return {"training": owner if train else None, "steps": steps, "searches": images}
