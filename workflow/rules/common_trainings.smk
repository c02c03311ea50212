"""The trainings of the workflow, and where checkpoints are and merged ones go."""

import os
import sys
from pathlib import Path


def is_trained(run):
    """Whether the checkpoints of this run are of a training of the workflow."""
    return "train" in RUNS[run]


def owner(run):
    """The run whose training ``run`` takes: its own, or that which it shares."""
    return RUNS[run].get("training_of", run)


def training_folder(run):
    """Where the trainings are whose checkpoints ``run`` takes."""
    return f"results/{owner(run)}/train"


def training_runs():
    """The runs that the workflow trains."""
    return [run for run in RUNS if is_trained(run) and owner(run) == run]


def trainings(run):
    """The trainings of ``run`` by the folders they have: constant and, where asked for, decayed and continued."""
    if not is_trained(run):
        return []
    asked = {
        "decayed": RUNS[run]["train"]["decayed"],
        "continued": RUNS[run]["train"]["continue"],
    }
    return ["constant", *(schedule for schedule, wanted in asked.items() if wanted)]


def training_manifests(run):
    """The manifests of the trainings of ``run``."""
    folder = training_folder(run)
    return [f"{folder}/{schedule}/manifest.json" for schedule in trainings(run)]


def training_options(run):
    """What the trainings of ``run`` add to the baselines: averages, a learning rate that decays, further steps."""
    if not is_trained(run):
        return []
    folder = training_folder(run)
    options = ["--emas", f"{folder}/constant/ema"]
    if "decayed" in trainings(run):
        options += ["--decayed", f"{folder}/decayed"]
    if RUNS[run]["train"]["power_ema"]:
        options += ["--power", f"{folder}/constant/ema/power"]
    if "continued" in trainings(run):
        options += ["--continued", f"{folder}/continued"]
    return options


def teacher(run):
    """The manifest of the training whose weights that of ``run`` learns from; none but for a distillation."""
    entry = RUNS[run]["train"]["teacher"]
    return f"{training_folder(entry['run'])}/constant/manifest.json" if entry else []


def teacher_options(run):
    """These weights as an option of `lcsc train`."""
    entry = RUNS[run]["train"]["teacher"]
    if not entry:
        return []
    return ["--teacher", layout.ema_path(owner(entry["run"]), entry["rate"])]


def checkpoint_folder(run):
    """Where the checkpoints of ``run`` are."""
    return (
        f"{training_folder(run)}/constant/checkpoints"
        if is_trained(run)
        else RUNS[run]["checkpoints"]["folder"]
    )


def require_folders():
    """End Snakemake with one line where a folder of checkpoints that are still to be collected is not there."""
    for run, entry in RUNS.items():
        folder = not is_trained(run) and entry["checkpoints"]["folder"]
        places = [folder, layout.bank_index(run)] if folder else []
        if places and not any(map(os.path.exists, places)):
            sys.exit(
                f"error: runs.{run}.checkpoints.folder: found no folder {folder!r}, expected that of a training's "
                f"checkpoints; give its path as seen from {Path.cwd()}"
            )


require_folders()


def merged_file(run):
    """The merged checkpoint of ``run`` as safetensors."""
    return f"results/{run}/export/merged.safetensors"


def native_folder(run):
    """The folder with the same weights in the format and under the name of the run's own checkpoints; none for a
    training of the workflow, whose own are safetensors."""
    return [] if is_trained(run) else f"results/{run}/export/native"
