"""The claims as a page: what the paper says, what was found here, by both extractors, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcsc.paper.measures import Number, holds, measure
from lcsc.paper.points import ROLES, Role, Series

HEADER = ("claim", "the paper", "here", "unseen extractor", "searched extractor", "verdict", "figure")
WORDS = {"speed-up": "times the training", "ratio": "× the distance", "match": ""}


@dataclass(frozen=True)
class Found:
    """A claim's section of the configuration with its numbers by extractor."""

    spec: Mapping[str, Any]
    numbers: Mapping[Role, Number]

    @property
    def verdict(self) -> str:
        """Whether the target is met by both extractors, by one, or by none."""
        target = self.spec["target"]
        if target is None:
            return "no target"
        met = [role for role in ROLES if holds(self.numbers[role], target)]
        return {2: "holds", 1: f"holds by the {met[0]} extractor alone" if met else "", 0: "does not hold"}[len(met)]


def find(spec: Mapping[str, Any], series: Mapping[tuple[str, Role], Series]) -> Found:
    """The numbers of the claim ``spec`` from the lines of its figure."""
    of_role = {role: {m: one for (m, r), one in series.items() if r == role} for role in ROLES}
    return Found(spec, {role: measure(spec["measure"], of_role[role]) for role in ROLES})


def page(claims: Sequence[Found]) -> str:
    """The claims as Markdown."""
    lines = [
        "# The paper's claims, at a size that two cores manage",
        "",
        "Made by `make figures`; do not edit. Medians over the training seeds of the figure, ranges in brackets;",
        "distances are to held-out images on noise that nothing else used. A claim holds where the median meets the",
        "target by both extractors. What the paper's abstract does not say is left open here.",
        "",
        _row(HEADER),
        _row(["---"] * len(HEADER)),
        *(_row(_cells(claim)) for claim in claims),
    ]
    return "\n".join(lines) + "\n"


def _cells(found: Found) -> list[str]:
    spec = found.spec
    unit = WORDS[spec["measure"]["kind"]]
    numbers = [f"{found.numbers[role].text()} {unit}".strip() for role in ROLES[::-1]]
    picture = f"[{spec['figure']}](images/paper/{spec['figure']}.svg)"
    return [spec["claim"], spec["paper"], spec["here"], *numbers, f"{found.verdict}{_target(spec)}", picture]


def _target(spec: Mapping[str, Any]) -> str:
    target = spec["target"] or {}
    signs = {"at_most": "≤", "at_least": "≥"}
    words = [f"{signs[key]} {value:g}" for key, value in target.items() if value is not None]
    return f" ({', '.join(words)})" if words else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
