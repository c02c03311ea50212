"""Fine-tuning of all weights on the distance: what every search along gradients has to be compared with.

Mathiasen & Hvilshøj (2020, "Backpropagating through Fréchet Inception Distance", arXiv 2009.14075) train generators on
the distance itself. Here its gradient is exact over all images (:mod:`lcsc.gradients`), the one that the coefficient
search projects on the span of the checkpoints; so for the same images and seconds the two differ by that span alone.
With :mod:`lcsc.span` both are moved at once.
Each learning rate is a run of its own, of Adam (Kingma & Ba 2015), and the weights at four milestones are kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.errors import InputError
from lcsc.evaluation import Evaluator
from lcsc.files import read_json
from lcsc.gradients import GradientEvaluator
from lcsc.progress import logger
from lcsc.protocol import require_bank
from lcsc.scoring import Context, score_candidates
from lcsc.search import Scored, SearchSpace
from lcsc.search.gradient import Gradient

BEST_AVERAGE = "best-average"
MILESTONES = 4
# Iterations of search noise: 0 is that of the searches with fixed noise, fresh draws come after it.
FIXED_ITERATION, FIRST_FRESH_ITERATION = 0, 1

WEIGHTS, SPAN = "weights", "span"  # what Adam moves, in the state's words
MOMENTS = ("exp_avg", "exp_avg_sq")

EvaluatorOf = Callable[[int], GradientEvaluator]


class Directions(Protocol):
    """Steps z [n] that move many weights each, at a learning rate of their own: :class:`lcsc.span.Span`."""

    @property
    def rate(self) -> float:
        """Their learning rate."""

    @property
    def start(self) -> NDArray[np.float64]:
        """No step, [n]."""

    def moved(self, point: NDArray[np.float64]) -> NDArray[np.float32]:
        """What the steps ``point`` [n] add to the weights, [P]."""

    def slope(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """The gradient [n] in z from that in the weights [P]."""


@dataclass(frozen=True)
class Start:
    """Where fine-tuning sets out: coefficients [G, K] of ``groups``, what they are, and the search they are from."""

    coefficients: NDArray[np.float64]
    groups: str | list[str]
    origin: str
    search: str | None = None

    def record(self) -> dict[str, Any]:
        """The start as JSON holds it."""
        found = {"origin": self.origin, "search": self.search, "groups": self.groups}
        return {**found, "coefficients": self.coefficients.tolist()}


def best_average(context: Context, evaluator: Evaluator, initial_rates: Sequence[float] | None) -> Start:
    """The average of the checkpoints with the lowest score: the very start that the gradient search takes."""
    search = Gradient(SearchSpace(tuple(context.bank.steps)), {"initial_rates": initial_rates})
    candidates = search.ask()
    scores = score_candidates(context, evaluator, candidates)
    search.tell([Scored(candidate, score.value) for candidate, score in zip(candidates, scores, strict=True)])
    assert search.start is not None
    best = min(range(len(scores)), key=lambda index: scores[index].order)
    return Start(search.start, "all", candidates[best].origin)


def searched_start(path: Path, name: str, bank: Bank) -> Start:
    """What the search called ``name`` chose, from its selection.json: LCSC first, all weights after it."""
    record = read_json(path, kind="selection")
    require_bank(str(record.get("bank")), bank.identity, path)
    if record.get("search") != name:
        raise InputError(f"{path}: found the search {record.get('search')!r}, expected {name!r} as 'start' says")
    chosen = record["finalists"][record["chosen"]]
    return Start(np.asarray(chosen["coefficients"], np.float64), record["groups"], f"search {name}", name)


def milestones(gradients: int) -> list[int]:
    """After how many gradients the weights are kept: each quarter of the run, rounded up, none twice."""
    return sorted({math.ceil(gradients * quarter / MILESTONES) for quarter in range(1, MILESTONES + 1)})


def noise_iteration(noise: str, gradient: int) -> int:
    """The iteration of search noise that ``gradient`` (from 0) is taken on."""
    return FIXED_ITERATION if noise == "fixed" else FIRST_FRESH_ITERATION + gradient


class Tuning:
    """One run of Adam on all weights [P] from ``start``, in its precision, at one learning rate.

    ``settings``: gradients (how many), noise ("fresh" or "fixed"), decay (whether the learning rate falls linearly to
    0), betas. ``evaluator_of`` gives the gradients on an iteration of the noise. With a ``span`` the weights are
    those [P] and what z adds to them; one Adam moves both.
    """

    def __init__(
        self,
        start: NDArray[Any],
        rate: float,
        settings: Mapping[str, Any],
        evaluator_of: EvaluatorOf,
        span: Directions | None = None,
    ) -> None:
        self.rate, self.settings = float(rate), settings
        self.scores: list[float] = []
        """The distance at each gradient, before its step."""
        self.stopped: str | None = None
        """Why it ended early; None while it goes on, and at its regular end."""
        self.seconds = 0.0
        self._evaluator_of, self._span = evaluator_of, span
        self._moved = {WEIGHTS: torch.from_numpy(np.array(start))}
        self._rates = {WEIGHTS: self.rate}
        if span is not None:
            self._moved[SPAN], self._rates[SPAN] = torch.from_numpy(span.start), span.rate
        first, second = settings["betas"]
        groups = [{"params": [moved], "lr": self._rates[name]} for name, moved in self._moved.items()]
        self._adam = torch.optim.Adam(groups, betas=(first, second))

    @property
    def gradients(self) -> int:
        """How many gradients were taken."""
        return len(self.scores)

    @property
    def ended(self) -> bool:
        """Whether all gradients were taken, or a number was not finite."""
        return self.stopped is not None or self.gradients >= int(self.settings["gradients"])

    @property
    def weights(self) -> NDArray[Any]:
        """The weights [P] after the last step."""
        own = self._moved[WEIGHTS].numpy()
        return own if self._span is None else own + self._span.moved(self._moved[SPAN].numpy())

    def step(self) -> None:
        """Take one gradient and make Adam's step; what is not finite ends the run."""
        began = time.perf_counter()
        evaluator = self._evaluator_of(noise_iteration(self.settings["noise"], self.gradients))
        score, gradient = evaluator.value_and_gradient(self.weights)
        if gradient is None or score.value is None:
            self._stop(score.reason)
        else:
            self._move(gradient)
            self.scores.append(score.value)
            if not all(bool(torch.isfinite(moved).all()) for moved in self._moved.values()):
                self._stop("the weights are not finite")
        self.seconds += time.perf_counter() - began

    def _move(self, gradient: NDArray[np.float64]) -> None:
        """Adam's step along ``gradient`` [P], at the learning rates that are left."""
        left = 1 - self.gradients / int(self.settings["gradients"]) if self.settings["decay"] else 1.0
        slopes = {WEIGHTS: gradient} if self._span is None else {WEIGHTS: gradient, SPAN: self._span.slope(gradient)}
        for group, (name, moved) in zip(self._adam.param_groups, self._moved.items(), strict=True):
            group["lr"] = self._rates[name] * left
            moved.grad = torch.from_numpy(slopes[name]).to(moved.dtype)
        self._adam.step()

    def _stop(self, reason: str | None) -> None:
        self.stopped = reason or "no reason"
        logger.warning("rate %g: stopped after %d gradients (%s)", self.rate, self.gradients, self.stopped)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Arrays by name, not copied, and numbers as JSON holds them: all that is needed to go on."""
        arrays = dict(self._moved)
        for name, moved in self._moved.items():
            moments = self._adam.state.get(moved, {})
            arrays |= {f"{name}.{moment}": moments[moment] for moment in MOMENTS if moment in moments}
        numbers = {"scores": self.scores, "stopped": self.stopped, "seconds": self.seconds}
        return arrays, numbers

    def restore(self, arrays: Mapping[str, torch.Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave; :class:`KeyError` where something is missing, with nothing changed."""
        scores, stopped, seconds = list(numbers["scores"]), numbers["stopped"], float(numbers["seconds"])
        found = {name: arrays[name] for name in self._moved}
        moments = {
            name: {moment: arrays[f"{name}.{moment}"].clone() for moment in MOMENTS} for name in self._moved if scores
        }
        self.scores, self.stopped, self.seconds = scores, stopped, seconds
        for name, moved in self._moved.items():
            moved.copy_(found[name])
            if scores:
                self._adam.state[moved] = {"step": torch.tensor(float(len(scores))), **moments[name]}
