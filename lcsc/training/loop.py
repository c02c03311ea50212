"""The embedded training: a recipe's loss, checkpoints by step, true averages, the same bytes each time.

Writes ``checkpoints/step-NNNNNN.safetensors``, ``ema/rate-R.safetensors``, snapshots of power-function averages where
the settings ask for any, ``state.safetensors``, from which a training goes on, and, last, ``manifest.json``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from lcsc.data import Part, require_training_part, to_float
from lcsc.errors import InputError, LcscError
from lcsc.files import sha256_of, write_json
from lcsc.generators.calls import CallForm
from lcsc.generators.networks import build_network
from lcsc.generators.preconditioning import build_denoiser
from lcsc.progress import Progress
from lcsc.search.post_hoc import exponent_of
from lcsc.seeds import torch_seed
from lcsc.training import state
from lcsc.training.ema import EMATracker
from lcsc.training.outputs import CHECKPOINTS, MANIFEST, STATE, clear, save_checkpoint, save_emas, save_power_emas
from lcsc.training.recipes import make_recipe

SCHEDULES = ("constant", "decayed")
CONTINUED = "continued"
# Streams of random numbers under the training's seed.
INITIAL_WEIGHTS, BATCHES, DROPOUT = 0, 1, 2
LOSS_EVERY = 25  # steps between two looks at the loss, which on a GPU wait for it
POWER_SNAPSHOTS = 20  # of each power-function average, evenly over the training


class Training:
    """A training in progress: all that changes from step to step, as its first step finds it.

    ``exponents`` are those of power-function averages to be tracked, ``teacher`` the weights that a distillation
    learns from. Raises :class:`InputError` for settings, images or weights that do not fit.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        part: Part,
        device: torch.device | str,
        exponents: Sequence[float] = (),
        teacher: Path | None = None,
    ) -> None:
        self.options: Mapping[str, Any] = settings["train"]
        self._seed = seed = int(self.options["seed"])
        self._masks = 0
        self.network = build_network(settings["network"], torch_seed("training", seed, INITIAL_WEIGHTS))
        self.network.to(device).train()
        self.form = CallForm.of(self.network, settings["network"])
        denoiser = build_denoiser(self._evaluate, settings["preconditioning"])
        self.recipe, self._after_step = make_recipe(self.options, denoiser, self.network, teacher)
        _check_images(part, settings["network"])
        rates = self.options["ema_rates"]
        self.tracker = EMATracker(list(self.network.parameters()), rates, exponents=exponents)
        self.images = torch.from_numpy(to_float(part.images)).to(device)
        rate = float(self.options["learning_rate"])
        self.optimiser = torch.optim.RAdam(self.network.parameters(), rate, foreach=True)
        self.generator = torch.Generator().manual_seed(torch_seed("training", seed, BATCHES))

    def _evaluate(self, x: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        # Seeded for each forward pass: a student drops the same values as the one without gradients beside it.
        torch.manual_seed(self._masks)
        return self.form(self.network, x, noise_level)

    def _seeded(self, device: torch.device) -> AbstractContextManager[None]:
        """Leave PyTorch's own random numbers, from which networks draw what they drop, as they were outside."""
        forked: AbstractContextManager[None] = torch.random.fork_rng([device] if device.type == "cuda" else [])
        return forked

    def advance(self, step: int, rate: float) -> torch.Tensor:
        """Optimisation ``step``, counted from 0, at the learning rate ``rate``; the loss before it."""
        self.optimiser.param_groups[0]["lr"] = rate
        rows = torch.randint(len(self.images), (int(self.options["batch"]),), generator=self.generator)
        # Beyond the planned steps the recipe's own schedule stays where it ended.
        place = min(step, int(self.options["steps"]) - 1)
        images = self.images[rows.to(self.images.device)]
        with self._seeded(images.device):
            self._masks = torch_seed("training", self._seed, DROPOUT, step)
            loss = self.recipe(images, place, self.generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self._after_step()
        self.tracker.update()
        return loss


def train(
    settings: Mapping[str, Any],
    part: Part,
    output: Path | str,
    schedule: str | None = None,
    device: torch.device | str = "cpu",
    teacher: Path | None = None,
) -> None:
    """Train the config's ``network`` under its ``preconditioning`` by its ``train`` section.

    ``part`` must hold training images; ``schedule`` is the settings' where none is given, ``teacher`` the file of
    weights that a distillation learns from. With schedule ``decayed`` the learning rate falls linearly to 0 and only
    the last checkpoint is kept, beside the EMAs; power EMAs are tracked at the constant rate alone. What an earlier
    training left in ``output`` goes. Raises :class:`InputError` for settings or images that do not fit,
    :class:`LcscError` where the loss
    diverges.
    """
    require_training_part(part, "training")
    options, schedule = settings["train"], schedule or str(settings.get("schedule", "constant"))
    _check(options, schedule)
    widths = tuple(map(float, options.get("power_ema") or ())) if schedule == "constant" else ()
    training = Training(settings, part, device, [exponent_of(width) for width in widths], teacher)
    output, about = Path(output), _about(settings, schedule, part)
    if teacher is not None:
        about["teacher"] = sha256_of(teacher)
    clear(output)
    _run(training, schedule, range(int(options["steps"])), widths, output, about)


def continue_training(
    settings: Mapping[str, Any], part: Part, earlier: Path | str, output: Path | str, device: torch.device | str = "cpu"
) -> None:
    """Go on with the training in the folder ``earlier`` for ``train.continue`` more steps, at its constant rate.

    Weights, optimiser, random numbers and EMAs are those with which it ended, so these are the steps that a longer
    training would have made, were the recipe's schedule to stay where it ended. ``output`` gets the last weights and
    the EMAs. Raises :class:`InputError` where ``settings`` or ``part`` are not those of the training.
    """
    require_training_part(part, "training")
    options, earlier, output = settings["train"], Path(earlier), Path(output)
    more = int(options.get("continue", 0))
    if more < 1:
        raise InputError(f"train: continue is {more}, expected 1 or more further steps")
    if output.resolve() == earlier.resolve():
        raise InputError(f"{output}: found the training that is to go on, expected another folder for what it becomes")
    _check(options, "constant")
    about = _about(settings, CONTINUED, part)
    found = state.require_same(earlier, {**about, "schedule": "constant"})
    training = Training(settings, part, device)
    state.restore(training.network, training.optimiser, training.generator, training.tracker, earlier)
    clear(output)
    steps = int(options["steps"])
    about["continued_from"] = found
    _run(training, CONTINUED, range(steps, steps + more), (), output, about)


def saved_steps(options: Mapping[str, Any], schedule: str) -> list[int]:
    """The steps, counted from 1, after which a checkpoint is saved."""
    steps = int(options["steps"])
    if schedule != "constant":
        return [steps + (int(options["continue"]) if schedule == CONTINUED else 0)]
    return list(range(int(options["save_from"]), steps + 1, int(options["save_every"])))


def snapshot_steps(steps: int) -> list[int]:
    """The steps, counted from 1, after which power-function averages are saved, the last of ``steps`` among them."""
    return sorted({max(1, round(steps * (place + 1) / POWER_SNAPSHOTS)) for place in range(POWER_SNAPSHOTS)})


def learning_rate(options: Mapping[str, Any], schedule: str, step: int) -> float:
    """The learning rate of optimisation ``step``, counted from 0."""
    rate = float(options["learning_rate"])
    return rate * (1 - step / int(options["steps"])) if schedule == "decayed" else rate


def _about(settings: Mapping[str, Any], schedule: str, part: Part) -> dict[str, Any]:
    """What the manifest says of a training before it began."""
    return {
        "settings": {key: settings[key] for key in ("network", "preconditioning", "train")},
        "schedule": schedule,
        "data": {"id": part.data_id, "part": part.part, "sha256": part.sha256},
    }


def _run(
    training: Training,
    schedule: str,
    steps: range,
    widths: Sequence[float],
    output: Path,
    about: Mapping[str, Any],
) -> None:
    """Make ``steps`` and write everything, the manifest last."""
    network, tracker = training.network, training.tracker
    checkpoints, snapshots = _optimise(training, schedule, steps, widths, output)
    record = {**about, CHECKPOINTS: checkpoints, "emas": save_emas(network, tracker, steps.stop, output)}
    if widths:
        record["power_emas"] = snapshots
    if schedule != CONTINUED:
        record["state"] = state.save_state(network, training.optimiser, training.generator, steps.stop, output / STATE)
    write_json(output / MANIFEST, record, kind="training")


def _optimise(
    training: Training, schedule: str, steps: range, widths: Sequence[float], output: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make ``steps``; the manifest's entries of the checkpoints and of the power-function averages."""
    to_save = set(saved_steps(training.options, schedule))
    to_snap = set(snapshot_steps(steps.stop)) if widths else set()
    progress, saved, note = Progress(f"training ({schedule})", len(steps)), [], ""
    snapshots: list[dict[str, Any]] = []
    for step in steps:
        loss = training.advance(step, learning_rate(training.options, schedule, step))
        done = step + 1
        if done % LOSS_EVERY == 0 or done in to_save:
            note = f"loss {_finite(loss, done):.3f}"
        if done in to_save:
            saved.append(save_checkpoint(training.network, done, output))
        if done in to_snap:
            snapshots += save_power_emas(training.network, training.tracker, widths, done, output)
        progress.advance(note=note)
    return saved, snapshots


def _finite(loss: torch.Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise LcscError(f"training diverged: the loss is {value} at step {step}; lower the learning rate")
    return value


def _check(options: Mapping[str, Any], schedule: str) -> None:
    if schedule not in SCHEDULES:
        raise InputError(f"train: schedule is {schedule!r}, expected one of {', '.join(SCHEDULES)}")
    for key in ("steps", "batch", "save_from", "save_every"):
        if int(options[key]) < 1:
            raise InputError(f"train: {key} is {options[key]}, expected 1 or more")
    if not float(options["learning_rate"]) > 0:
        raise InputError(f"train: learning_rate is {options['learning_rate']}, expected a positive number")
    if not saved_steps(options, schedule):
        raise InputError(
            f"train: save_from is {options['save_from']}, expected at most the {options['steps']} steps of training"
        )


def _check_images(part: Part, network: Mapping[str, Any]) -> None:
    expected: Sequence[int] = network["image_shape"]
    if tuple(part.image_shape) != tuple(expected):
        raise InputError(
            f"{part.path}: images have shape {list(part.image_shape)}, expected {list(expected)} as "
            "network.image_shape says; correct the one or the other"
        )
