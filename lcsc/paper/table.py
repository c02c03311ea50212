"""The claims as a table: what the paper says, what was found here, by both extractors, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcsc.errors import InputError
from lcsc.paper.made import Made
from lcsc.paper.measures import Number, holds
from lcsc.paper.points import ROLES, Role

HEADER = ("claim", "the paper", "here", "unseen extractor", "searched extractor", "verdict", "figure", "command")
WORDS = {
    "speed-up": "times the training",
    "ratio": "× the distance",
    "match": "",
    "sooner": "times sooner",
    "cost": "s of training saved by 1 s of search",
}
# Measures that one extractor alone has: a search's own score; and those that no extractor has a say in.
JUDGES: Mapping[str, tuple[Role, ...]] = {"sooner": ("searched",), "similarity": ("searched",)}
JUDGED_BY: Mapping[Role, str] = {
    "unseen": "by the extractor that no search saw",
    "searched": "by the extractor that was searched",
}


@dataclass(frozen=True)
class Found:
    """A claim's section of the configuration with its numbers by extractor."""

    spec: Mapping[str, Any]
    numbers: Mapping[Role, Number]

    @property
    def verdict(self) -> str:
        """Whether the target is met by all extractors that judge it, by one, or by none."""
        target = self.spec["target"]
        if target is None:
            return "no target"
        met = [role for role in self.numbers if holds(self.numbers[role], target)]
        if len(met) == len(self.numbers):
            return "holds"
        return f"holds by the {met[0]} extractor alone" if met else "does not hold"

    @property
    def unit(self) -> str:
        """What its numbers count."""
        measure = self.spec["measure"]
        return f"(of {measure['of']})" if measure["kind"] == "similarity" else WORDS[measure["kind"]]

    def cells(self, configs: Sequence[str] = ()) -> tuple[str, ...]:
        """The claim as a row below :data:`HEADER`, without marks of any format; its command names ``configs``."""
        spec, name = self.spec, self.spec["figure"]
        numbers = [self._number(role) for role in ROLES[::-1]]
        command = command_of(f"results/figures/{name}.svg", configs)
        return spec["claim"], spec["paper"], spec["here"], *numbers, f"{self.verdict}{_target(spec)}", name, command

    def _number(self, role: Role) -> str:
        if role not in self.numbers:
            return "–"
        return f"{self.numbers[role].text()} {self.unit}".strip()


def find(spec: Mapping[str, Any], made: Made) -> Found:
    """The numbers of the claim ``spec`` from its figure."""
    if made.answer is None:
        raise InputError(f"claims: found a claim about {spec['figure']!r}, a figure that has no numbers for any")
    measure = spec["measure"]
    return Found(spec, {role: made.answer(measure, role) for role in JUDGES.get(measure["kind"], ROLES)})


def command_of(target: str, configs: Sequence[str] = ()) -> str:
    """What makes ``target`` from nothing with the configuration files that the workflow was given."""
    given = f" --configfile {shlex.join(configs)} --" if configs else ""
    return f"snakemake --cores all{given} {shlex.quote(target)}"


def _target(spec: Mapping[str, Any]) -> str:
    target = spec["target"] or {}
    signs = {"at_most": "≤", "at_least": "≥"}
    words = [f"{signs[key]} {value:g}" for key, value in target.items() if value is not None]
    return f" ({', '.join(words)})" if words else ""


def counted(claims: Sequence[Found]) -> str:
    """How many of the claims that have a target hold, as a sentence."""
    judged = [claim for claim in claims if claim.spec["target"] is not None]
    return f"{sum(claim.verdict == 'holds' for claim in judged)} of {len(judged)} claims hold here."
