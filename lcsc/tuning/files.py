"""Fine-tuning on disk: weights at each milestone, a manifest, and a journal from which a killed job goes on.

The journal is no declared output of any rule, since Snakemake deletes those of a job that failed: milestones lie there
until all learning rates have run, and then beside the manifest.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lcsc.bank import Bank
from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.errors import InputError
from lcsc.files import canonical_json, hash_of, make_folder, remove, sha256_of, write_bytes, write_json
from lcsc.progress import Progress, logger
from lcsc.tuning.tuning import Directions, EvaluatorOf, Tuning, milestones

KIND, MANIFEST, WEIGHTS, JOURNAL = "tuning", "manifest.json", "weights", "journal"
SAVE_EVERY = 20.0  # seconds between two saved states; a killed job loses no more than that
_STATE = "lcsc_tuning"


class TuningJournal:
    """State and milestones of one learning rate in ``folder``, under the hash of all that fixes them."""

    def __init__(self, folder: Path, key: str, bank: Bank) -> None:
        make_folder(folder)
        self._folder, self._key, self._bank = folder, key, bank
        self._saved = time.monotonic()
        self.path = folder / f"{key[:16]}.safetensors"
        self.kept: list[int] = []
        """After how many gradients weights were kept."""

    def milestone(self, gradients: int) -> Path:
        """The file of the weights after ``gradients``."""
        return self._folder / f"{self._key[:16]}-{gradients:06d}.safetensors"

    def keep(self, run: Tuning) -> None:
        """Save what is due after a step: the weights at a milestone; the state then, at the end, and now and again."""
        due = run.stopped is None and run.gradients in milestones(int(run.settings["gradients"]))
        if due:
            metadata = {"track": "tuned", "rate": repr(run.rate), "gradients": str(run.gradients)}
            state = state_dict(self._bank, run.weights)
            SafetensorsFormat().write(self.milestone(run.gradients), state, metadata)
            self.kept.append(run.gradients)
        if due or run.ended or time.monotonic() - self._saved >= SAVE_EVERY:
            arrays, numbers = run.state()
            text = canonical_json({**numbers, "kept": self.kept, "key": self._key})
            SafetensorsFormat().write(self.path, arrays, {_STATE: text})
            self._saved = time.monotonic()

    def restore(self, run: Tuning) -> None:
        """Bring ``run`` to the state that was saved last, if there is one with all its milestones."""
        if not self.path.is_file():
            return
        try:
            found = SafetensorsFormat().read(self.path)
            numbers = json.loads(found.metadata[_STATE])
            if numbers["key"] != self._key or not all(self.milestone(count).is_file() for count in numbers["kept"]):
                raise ValueError("another key, or a milestone is missing")
            run.restore(found.tensors, numbers)
            self.kept = list(numbers["kept"])
        except (InputError, KeyError, TypeError, ValueError, RuntimeError) as error:
            logger.warning("%s: no whole state (%s), rate %g starts again", self.path, error, run.rate)


@dataclass
class Tuned:
    """What :func:`run_all` did: the manifest's entries, and what must not stand there since it differs each time."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    gradients: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Of each learning rate, with those of killed tries."""
    earlier_seconds: float = 0.0
    """Of killed tries alone."""


def run_all(
    start: NDArray[np.float32],
    settings: Mapping[str, Any],
    evaluator_of: EvaluatorOf,
    bank: Bank,
    output: Path,
    key: Mapping[str, Any],
    span: Directions | None = None,
) -> Tuned:
    """Fine-tune from ``start`` [P] at each of the ``rates``, and put the weights of all milestones in ``output``.

    With a ``span``, both are moved at once. ``key`` holds all that fixes the result besides the learning rate:
    protocol, bank, settings and start.
    """
    _clear(output)
    gradients = int(settings["gradients"])
    progress = Progress("gradients", gradients * len(settings["rates"]))
    done = Tuned()
    for rate in settings["rates"]:
        run = Tuning(start, rate, settings, evaluator_of, span)
        journal = TuningJournal(output / JOURNAL, hash_of({**key, "rate": run.rate}), bank)
        journal.restore(run)
        done.earlier_seconds += run.seconds
        if run.gradients:
            progress.advance(run.gradients, note=f"rate {exponent(run.rate)} goes on", free=True)
        while not run.ended:
            run.step()
            journal.keep(run)
            if run.stopped is None:
                progress.advance(note=f"rate {exponent(run.rate)} · distance {run.scores[-1]:.4g}")
        progress.total -= gradients - run.gradients
        done.entries.append(_entry(run, journal, output / WEIGHTS))
        done.seconds[exponent(run.rate)] = run.seconds
        done.gradients += run.gradients
    return done


def finish(output: Path, record: Mapping[str, Any]) -> None:
    """Write the manifest; the journal has served its time then."""
    write_json(output / MANIFEST, record, kind=KIND)
    shutil.rmtree(output / JOURNAL, ignore_errors=True)


def exponent(rate: float) -> str:
    """A learning rate as people write it: ``3e-5``, ``1.5e-4``."""
    return f"{Decimal(repr(rate)).normalize():e}"


def _entry(run: Tuning, journal: TuningJournal, folder: Path) -> dict[str, Any]:
    """Put the milestones of a run in ``folder``; the manifest's entry."""
    weights = []
    for count in journal.kept:
        path = folder / f"rate-{exponent(run.rate)}-gradients-{count:04d}.safetensors"
        write_bytes(path, journal.milestone(count).read_bytes())
        weights.append({"file": f"{folder.name}/{path.name}", "sha256": sha256_of(path), "gradients": count})
    return {"rate": run.rate, "scores": run.scores, "stopped": run.stopped, WEIGHTS: weights}


def _clear(output: Path) -> None:
    """Remove an earlier fine-tuning's files, the manifest first: no old weights mix with new ones."""
    make_folder(output / WEIGHTS)
    remove(output / MANIFEST)
    for path in (output / WEIGHTS).glob("rate-*.safetensors"):
        remove(path)


def state_dict(bank: Bank, vector: NDArray[Any]) -> dict[str, torch.Tensor]:
    """The weights [P] under the names of the run's files, float32 whatever those hold: half would round steps away."""
    exact = vector.astype(np.float32)
    state = bank.unflatten(exact)
    for entry in bank.tensors:
        if entry.role == "combined":
            part = torch.from_numpy(exact[entry.offset : entry.offset + entry.count]).reshape(entry.shape)
            state.update(dict.fromkeys((entry.name, *entry.aliases), part))
    return bank.restore_names(state)
