"""Preconditionings and samplers whose values are impossible together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from lcsc.config import kinds
from lcsc.config.problems import Place, Problem

Section = Mapping[str, Any]
# Keys of samplers for several kinds of preconditioning that say something about one of them alone.
KEYS_OF_KINDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("ancestral", "ddpm"): ("spacing", "variance"),
    ("ancestral", "edm"): ("rho", "sigma_min", "sigma_max"),
    ("dpm-solver++", "ddpm"): ("spacing",),
    ("dpm-solver++", "edm"): ("rho", "sigma_min", "sigma_max"),
}


def generator_problems(place: tuple[str, ...], run: Section) -> Iterator[Problem]:
    """What is impossible in a run's ``preconditioning`` and ``sampler``."""
    yield from _kinds(place, run)
    yield from _preconditioning((*place, "preconditioning"), run["preconditioning"])
    if run["sampler"]["kind"] == "consistency":
        yield from _consistency((*place, "sampler"), run["sampler"], run["preconditioning"])
    else:
        yield from _sampler((*place, "sampler"), run["sampler"], run["preconditioning"])


def _kinds(place: tuple[str, ...], run: Section) -> Iterator[Problem]:
    """Samplers and recipes are for some kinds of preconditioning each."""
    kind = run["preconditioning"]["kind"]
    users = {f"sampler {run['sampler']['kind']}": kinds.SAMPLERS[run["sampler"]["kind"]]}
    if "train" in run:
        recipe = run["train"]["recipe"]
        users[f"recipe {recipe}"] = kinds.RECIPES[recipe]
    for user, suited in users.items():
        if kind not in suited:
            expected = f"{kinds.in_words(suited)} as {user} needs"
            yield Problem((*place, "preconditioning", "kind"), repr(kind), expected)


def _preconditioning(place: Place, section: Section) -> Iterator[Problem]:
    key = "beta" if section["kind"] == "ddpm" else "sigma"
    names = ("beta_start", "beta_end") if key == "beta" else ("sigma_min", "sigma_max")
    low, high = (section[name] for name in names)
    if low >= high:
        yield Problem((*place, names[0]), str(low), f"a number below {names[1]} ({high})")


def _consistency(place: Place, sampler: Section, preconditioning: Section) -> Iterator[Problem]:
    if preconditioning["kind"] != "consistency":
        return
    if "ts" not in sampler:
        for key in ("steps", "rho"):
            if key in sampler:
                yield Problem((*place, key), str(sampler[key]), "'ts' beside it", f"add 'ts', or remove '{key}'")
        yield from _falling((*place, "sigmas"), sampler["sigmas"], preconditioning)
    elif "sigmas" in sampler:
        yield Problem((*place, "ts"), "'sigmas' beside it", "one of the two", "remove one of them")
    elif "steps" not in sampler:
        yield Problem(
            (*place, "steps"), "nothing", "the number of noise levels that 'ts' counts", "add OpenAI's --steps"
        )
    else:
        yield from _numbers((*place, "ts"), sampler["ts"], sampler["steps"] - 1)


def _falling(place: Place, sigmas: Sequence[float], preconditioning: Section) -> Iterator[Problem]:
    low, high = preconditioning["sigma_min"], preconditioning["sigma_max"]
    for index, (before, sigma) in enumerate(zip([None, *sigmas], sigmas, strict=False)):
        if not low < sigma <= high:
            expected = f"a noise level above sigma_min ({low}), up to sigma_max ({high})"
            yield Problem((*place, index), str(sigma), expected)
        if before is not None and sigma >= before:
            yield Problem((*place, index), f"{sigma} after {before}", "falling noise levels")


def _numbers(place: Place, ts: Sequence[int], last: int) -> Iterator[Problem]:
    if ts[0] != 0:
        yield Problem((*place, 0), str(ts[0]), "0, since sampling starts at sigma_max")
    for index, (before, t) in enumerate(pairwise(ts), start=1):
        if t <= before:
            yield Problem((*place, index), f"{t} after {before}", "rising numbers")
    if ts[-1] != last:
        way_out = "end with it, as OpenAI's commands do: noise added after the last evaluation would stay"
        yield Problem((*place, len(ts) - 1), str(ts[-1]), f"steps - 1 ({last})", way_out)


def _sampler(place: Place, sampler: Section, preconditioning: Section) -> Iterator[Problem]:
    kind, suited = sampler["kind"], preconditioning["kind"]
    for (name, other), keys in KEYS_OF_KINDS.items():
        for key in keys:
            if name == kind and other != suited and key in sampler:
                expected = f"no such key with {suited!r} preconditioning"
                yield Problem((*place, key), str(sampler[key]), expected, f"remove it, it is for {other!r}")
    low, high = sampler.get("sigma_min"), sampler.get("sigma_max")
    if low is not None and high is not None and low >= high:
        yield Problem((*place, "sigma_min"), str(low), f"a number below sigma_max ({high})")
    if sampler.get("variance") == "learned" and not preconditioning.get("learned_variance", True):
        way_out = "take 'small' or 'large', or set preconditioning.learned_variance where the network has 2C channels"
        yield Problem((*place, "variance"), "'learned'", "one that the network learned", way_out)
    if suited == "ddpm" and kind in ("ancestral", "ddim", "dpm-solver++"):
        yield from _timesteps(place, sampler, preconditioning["timesteps"])


def _timesteps(place: Place, sampler: Section, timesteps: int) -> Iterator[Problem]:
    steps, spacing = sampler["steps"], sampler.get("spacing")
    most = timesteps - 1 if sampler["kind"] == "dpm-solver++" else timesteps
    if steps > most:
        yield Problem((*place, "steps"), str(steps), f"at most {most}, as the network's {timesteps} timesteps allow")
    if sampler["kind"] == "ddim" and spacing == "trailing" and timesteps % steps:
        way_out = "take 'leading': the scheduler makes all steps equally long"
        yield Problem((*place, "spacing"), "'trailing'", f"steps that divide {timesteps}, not {steps}", way_out)
    if sampler["kind"] != "dpm-solver++" and spacing != "trailing" and steps == 1:
        yield Problem((*place, "steps"), "1", "at least 2 where spacing is not 'trailing'", "1 starts at timestep 0")
