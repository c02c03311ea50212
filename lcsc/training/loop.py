"""The embedded training: a recipe's loss, checkpoints by step, true EMAs, the same bytes each time.

Writes ``checkpoints/step-NNNNNN.safetensors``, ``ema/rate-R.safetensors`` and, last, ``manifest.json``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lcsc.checkpoints.safetensors_files import SafetensorsFormat
from lcsc.data import Part, require_training_part, to_float
from lcsc.errors import InputError, LcscError
from lcsc.files import make_folder, sha256_of, write_json
from lcsc.generators.networks import build_network
from lcsc.generators.preconditioning import Denoiser, build_denoiser
from lcsc.progress import Progress
from lcsc.seeds import torch_seed
from lcsc.training.consistency import ConsistencyTraining
from lcsc.training.ema import EMATracker

Recipe = Callable[[torch.Tensor, int, torch.Generator], torch.Tensor]
RECIPES: dict[str, Callable[[Mapping[str, Any], Denoiser], Recipe]] = {"consistency": ConsistencyTraining}
SCHEDULES = ("constant", "decayed")
CHECKPOINTS, EMAS, MANIFEST = "checkpoints", "ema", "manifest.json"
# Streams of random numbers under the training's seed.
INITIAL_WEIGHTS, BATCHES = 0, 1
LOSS_EVERY = 25  # steps between two looks at the loss, which on a GPU wait for it


def train(
    settings: Mapping[str, Any],
    part: Part,
    output: Path | str,
    schedule: str | None = None,
    device: torch.device | str = "cpu",
) -> None:
    """Train the config's ``network`` under its ``preconditioning`` by its ``train`` section.

    ``part`` must hold training images; ``schedule`` is the settings' where none is given. With schedule
    ``decayed`` the learning rate falls linearly to 0 and only the last checkpoint is kept, beside the EMAs.
    What an earlier training left in ``output`` goes.
    Raises :class:`InputError` for settings or images that do not fit, :class:`LcscError` where the loss
    diverges.
    """
    require_training_part(part, "training")
    options, schedule = settings["train"], schedule or str(settings.get("schedule", "constant"))
    _check(options, schedule)
    seed = int(options["seed"])
    network = build_network(settings["network"], torch_seed("training", seed, INITIAL_WEIGHTS))
    network.to(device).train()
    recipe = _recipe(options, build_denoiser(network, settings["preconditioning"]))
    _check_images(part, settings["network"])
    tracker = EMATracker(list(network.parameters()), options["ema_rates"])
    images = torch.from_numpy(to_float(part.images)).to(device)
    output = Path(output)
    _clear(output)
    checkpoints = _optimise(network, recipe, images, options, schedule, tracker, output)
    emas = _save_emas(network, tracker, int(options["steps"]), output)
    record = {
        "settings": {key: settings[key] for key in ("network", "preconditioning", "train")},
        "schedule": schedule,
        "data": {"id": part.data_id, "part": part.part, "sha256": part.sha256},
        CHECKPOINTS: checkpoints,
        "emas": emas,
    }
    write_json(output / MANIFEST, record, kind="training")


def saved_steps(options: Mapping[str, Any], schedule: str) -> list[int]:
    """The steps, counted from 1, after which a checkpoint is saved."""
    steps = int(options["steps"])
    if schedule == "decayed":
        return [steps]
    return list(range(int(options["save_from"]), steps + 1, int(options["save_every"])))


def learning_rate(options: Mapping[str, Any], schedule: str, step: int) -> float:
    """The learning rate of optimisation ``step``, counted from 0."""
    rate = float(options["learning_rate"])
    return rate * (1 - step / int(options["steps"])) if schedule == "decayed" else rate


def _optimise(
    network: nn.Module,
    recipe: Recipe,
    images: torch.Tensor,
    options: Mapping[str, Any],
    schedule: str,
    tracker: EMATracker,
    output: Path,
) -> list[dict[str, Any]]:
    """Run all steps; the manifest's entries of the checkpoints that were saved."""
    optimiser = torch.optim.RAdam(network.parameters(), float(options["learning_rate"]), foreach=True)
    generator = torch.Generator().manual_seed(torch_seed("training", int(options["seed"]), BATCHES))
    steps, batch = int(options["steps"]), int(options["batch"])
    to_save = set(saved_steps(options, schedule))
    progress, saved, note = Progress(f"training ({schedule})", steps), [], ""
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = learning_rate(options, schedule, step)
        rows = torch.randint(len(images), (batch,), generator=generator)
        loss = recipe(images[rows.to(images.device)], step, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        tracker.update()
        done = step + 1
        if done % LOSS_EVERY == 0 or done in to_save:
            note = f"loss {_finite(loss, done):.3f}"
        if done in to_save:
            path = output / CHECKPOINTS / f"step-{done:06d}.safetensors"
            saved.append(_save(path, _state(network), step=done, track="raw"))
        progress.advance(note=note)
    return saved


def _save_emas(network: nn.Module, tracker: EMATracker, step: int, output: Path) -> list[dict[str, Any]]:
    """Write each average; buffers are those of the last step. Returns the manifest's entries."""
    entries = []
    for rate in tracker.rates:
        state = _state(network, tracker.averages(rate))
        path = output / EMAS / f"rate-{_rate_text(rate)}.safetensors"
        entries.append(_save(path, state, step=step, track=f"ema_{rate:g}", rate=rate))
    return entries


def _rate_text(rate: float) -> str:
    """The rate with at least four decimals, so that names sort by rate, and all of them where it has more."""
    return max(f"{rate:.4f}", f"{rate!r}", key=len)


def _save(path: Path, state: Mapping[str, torch.Tensor], step: int, track: str, **more: float) -> dict[str, Any]:
    facts = {"step": step, "track": track, **more}
    SafetensorsFormat().write(path, state, {key: str(value) for key, value in facts.items()})
    return {"file": f"{path.parent.name}/{path.name}", "sha256": sha256_of(path), **facts}


def _state(network: nn.Module, averages: Sequence[torch.Tensor] = ()) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers by name; ``averages`` stand in place of the parameters where given.

    Tied parameters share memory here, too, so that they are written as tied.
    """
    parameters = list(network.parameters())
    instead = dict(zip(map(id, parameters), averages or parameters, strict=True))
    return {
        name: instead.get(id(tensor), tensor).detach() for name, tensor in network.state_dict(keep_vars=True).items()
    }


def _finite(loss: torch.Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise LcscError(f"training diverged: the loss is {value} at step {step}; lower the learning rate")
    return value


def _recipe(options: Mapping[str, Any], denoiser: Denoiser) -> Recipe:
    name = str(options["recipe"])
    if name not in RECIPES:
        raise InputError(f"train: recipe is {name!r}, expected one of {', '.join(sorted(RECIPES))}")
    return RECIPES[name](options, denoiser)


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


def _clear(output: Path) -> None:
    """Remove an earlier training's files, the manifest first: no old checkpoint mixes with new ones."""
    make_folder(output)
    (output / MANIFEST).unlink(missing_ok=True)
    for pattern in (f"{CHECKPOINTS}/step-*.safetensors", f"{EMAS}/rate-*.safetensors"):
        for path in output.glob(pattern):
            path.unlink()
