"""The trainings of the workflow, and where checkpoints are and merged ones go."""

import os
import sys
from pathlib import Path

# The folders of weights that each training of the workflow leaves, besides the checkpoints that go into a bank.
WEIGHTS = {
    "constant": ("ema",),
    "decayed": ("checkpoints", "ema"),
    "continued": ("checkpoints", "ema"),
}


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


def averages(run):
    """The named inputs of steps that read other weights of ``run`` than its bank's: folders of its trainings, whose
    own time stamps say nothing (their manifests do), and of its fine-tunings."""
    folders = {
        schedule: [f"{training_folder(run)}/{schedule}/{part}" for part in parts]
        for schedule, parts in WEIGHTS.items()
        if schedule in trainings(run)
    }
    tuned = [f"results/{run}/tune/{name}/weights" for name in tunings(run)]
    return {
        **{schedule: ancient(paths) for schedule, paths in folders.items()},
        "tuned_weights": ancient(tuned),
    }


def training_options(wildcards, input):
    """What the trainings of the wildcards' run add to the baselines: averages, a learning rate that decays, further
    steps."""
    given = {schedule: getattr(input, schedule, []) for schedule in WEIGHTS}
    options = ["--emas", given["constant"][0]] if given["constant"] else []
    if given["constant"] and RUNS[wildcards.run]["train"]["power_ema"]:
        options += ["--power", f"{given['constant'][0]}/power"]
    for schedule in ("decayed", "continued"):
        if given[schedule]:
            options += [f"--{schedule}", str(Path(given[schedule][0]).parent)]
    return options


def teacher(run):
    """The named inputs of a distillation: the manifest and the averages of the training that ``run`` learns from."""
    entry = RUNS[run]["train"]["teacher"]
    folder = entry and f"{training_folder(entry['run'])}/constant"
    return {
        "teacher": f"{folder}/manifest.json" if entry else [],
        "teacher_emas": ancient(f"{folder}/ema") if entry else [],
    }


def teacher_options(wildcards, input):
    """The weights that the wildcards' training learns from, as an option of `lcsc train`."""
    if not input.teacher_emas:
        return []
    rate = RUNS[wildcards.run]["train"]["teacher"]["rate"]
    return ["--teacher", f"{input.teacher_emas}/{layout.ema_name(rate)}"]


def checkpoint_folder(run):
    """Where the checkpoints of ``run`` are."""
    return (
        f"{training_folder(run)}/constant/checkpoints"
        if is_trained(run)
        else RUNS[run]["checkpoints"]["folder"]
    )


def is_stored():
    """Whether files come from a storage rather than from the working folder."""
    given = workflow.storage_settings
    return given is not None and given.default_storage_provider is not None


def lending_folder(run):
    """The folder of one's own checkpoints, from which a merged one may take what is no weight: an input of the export
    where the files of each job are fetched. Elsewhere it may be gone once it was collected.
    """
    return (
        ancient(checkpoint_folder(run)) if is_stored() and not is_trained(run) else []
    )


def require_folders():
    """End Snakemake with one line where a folder of checkpoints that are still to be collected is not there; whether it
    is in a storage Snakemake says itself."""
    for run, entry in RUNS.items():
        folder = not (is_trained(run) or is_stored()) and entry["checkpoints"]["folder"]
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
