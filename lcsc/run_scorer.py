"""The score function of a run of the workflow, for one's own code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lcsc import layout
from lcsc.bank import Bank
from lcsc.config import load_config, step_settings
from lcsc.errors import InputError
from lcsc.groups import make_groups
from lcsc.runtime import deterministic, resolve_device
from lcsc.scoring import Context, load_measures, score_candidates
from lcsc.search.base import Candidate


class RunScorer:
    """Scores coefficients [G, K] as the workflow's searches do: FD on search noise, lower is better; NaN for none.

    It is the FD of the run's ``extractors.search``, whatever extractor single searches have.

    ``config`` and ``run`` name a run whose bank, extractor and reference stand in the folder ``results``;
    ``images`` is the number of images of an evaluation, that of the configuration by default; ``groups`` (``all``,
    ``block``, ``tensor``) says which tensors share a row of coefficients.
    """

    def __init__(
        self,
        config: str | Path,
        run: str,
        results: str | Path = layout.RESULTS,
        images: int | None = None,
        device: str = "auto",
        groups: str = "all",
    ) -> None:
        resolved = load_config(Path(config))
        if run not in resolved["runs"]:
            raise InputError(f"{config}: found no run {run!r}, expected one of {', '.join(resolved['runs'])}")
        settings = step_settings(resolved, run, "baselines")
        where = str(results)
        chosen = resolve_device(device)
        self._context = Context.open(settings, Path(layout.bank_index(run, where)), chosen, 1)
        (extractor,), (reference,) = load_measures(
            [Path(layout.extractor_file(resolved, run, "search", where))],
            [Path(layout.reference_file(resolved, run, "search", "train", where))],
            chosen,
        )
        self.groups = make_groups(self._context.bank.tensors, groups)
        count = images or int(resolved["runs"][run]["evaluation"]["search"]["images"])
        self._evaluator = self._context.evaluator(extractor, reference, "search", count)
        self.protocol = self._context.protocol(extractor, reference, "search", count)

    @property
    def bank(self) -> Bank:
        """The run's bank, in memory."""
        return self._context.bank

    def __call__(self, coefficients: ArrayLike) -> float:
        """The Fréchet distance of the images that ``coefficients`` [G, K] (or [K]) make."""
        rows = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
        if rows.shape != (self.groups.G, self.bank.K):
            expected = f"[{self.groups.G} groups, {self.bank.K} checkpoints]"
            raise InputError(f"coefficients: found shape {list(rows.shape)}, expected {expected}")
        with deterministic(int(self._context.settings["threads"])):
            (score,) = score_candidates(self._context, self._evaluator, [Candidate(rows, "own")], groups=self.groups)
        return float("nan") if score.value is None else score.value
