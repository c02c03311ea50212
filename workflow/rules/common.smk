"""What the rules share: the configuration, paths, and the settings that make a step run again."""

import os
import re
import shlex
import sys
from pathlib import Path

try:
    import lcsc.config as lcsc_config
    from lcsc import failures, layout
    from lcsc.errors import InputError
    from lcsc.files import canonical_json
except ImportError as error:
    sys.exit(
        f"lcsc is not installed for {sys.executable} ({error}); run: pip install -e ."
    )

# The jobs' shells find `lcsc` beside the Python that runs Snakemake, also where its environment is not activated.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
)

# What `conda:` names with --software-deployment-method conda; lcsc itself comes from Snakemake's own environment.
ENVIRONMENT = "../../environment.yml"
# Cores of a step that scores candidates. Snakemake lowers it to the cores there are, and --max-threads
# or --set-threads to what a cluster's node has. Results do not depend on it.
MOST_WORKERS = 8


def resolved(workflow, config):
    """The complete configuration; ends Snakemake with one line where it is wrong."""
    files = list(map(relative, workflow.overwrite_configfiles or workflow.configfiles))
    try:
        for path in files:
            lcsc_config.read_yaml(path)
        files += ["--config"] if workflow.config_settings.config else []
        return lcsc_config.resolve(config, source=" + ".join(files))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def relative(path):
    """``path`` from the working directory where it lies within."""
    path = Path(path)
    return str(
        path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    )


CONFIG = resolved(workflow, config)
RUNS = CONFIG["runs"]
SEARCHED = [run for run in RUNS if RUNS[run]["searches"]]
DATA = {lcsc_config.data_id(CONFIG, name): name for name in CONFIG["data"]}
EXTRACTORS = {
    lcsc_config.extractor_id(CONFIG, name): name for name in CONFIG["extractors"]
}
DEVICE = CONFIG["device"]
# What heavy steps ask their executor for besides memory and time.
GPU = CONFIG["gpu_resources"] if DEVICE == "cuda" else {}
# Cores of a step that scores: never fewer than the threads of one of its workers, which belong to the results.
WORKERS = max(MOST_WORKERS, CONFIG["threads"])
ROLES = ("search", "held_out")
PARTS = ("train", "held-out")


def reference_settings(data, extractor):
    """The settings of the statistics of the images ``data`` for ``extractor``, both by id."""
    run = next(
        name for name in RUNS if lcsc_config.data_id(CONFIG, RUNS[name]["data"]) == data
    )
    return settings("reference", run, EXTRACTORS[extractor])


def published_statistics(wildcards):
    """The published statistics that stand for those of the wildcards' data, part and extractor; none by default."""
    given = CONFIG["data"][DATA[wildcards.data]]["statistics"] or {}
    parts = given.get(EXTRACTORS[wildcards.extractor]) or {}
    found = parts.get(wildcards.part.replace("-", "_"))
    return found["path"] if found else []


def reference_images(wildcards):
    """The images of the wildcards' data and part; none where their statistics are published ones."""
    path = f"results/shared/data/{wildcards.data}/{wildcards.part}.npz"
    return [] if published_statistics(wildcards) else path


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


def trainings(run):
    """The trainings of ``run`` by the folders they have: constant and, where asked for, decayed and continued."""
    if not is_trained(run):
        return []
    asked = {
        "decayed": RUNS[run]["train"]["decayed"],
        "continued": RUNS[run]["train"]["continue"],
    }
    return ["constant", *(schedule for schedule, wanted in asked.items() if wanted)]


def one_of(names):
    """A regular expression for any of ``names``."""
    return "|".join(map(re.escape, names)) or "(?!)"


def settings(step, run=None, name=None):
    """What fixes the result of ``step``, as the text that stands in its rule's params."""
    return canonical_json(lcsc_config.step_settings(CONFIG, run, step, name=name))


def settings_of(step):
    """A params function for ``step`` of the run that the wildcards name."""
    return lambda wildcards: settings(
        step, wildcards.run, getattr(wildcards, "search", None)
    )


def image_paths(data):
    """The files or folders that the images with the id ``data`` come from; none where a package ships them."""
    entry = CONFIG["data"][DATA[data]]
    return [entry[key] for key in ("path", "held_out_path") if entry[key] is not None]


def data_folder(run):
    """Where the images of ``run`` are."""
    return layout.data_folder(CONFIG, run)


def extractor_entry(extractor):
    """What the configuration says of the extractor with this id."""
    return CONFIG["extractors"][EXTRACTORS[extractor]]


def trained_extractors():
    """The ids of the extractors that are trained here."""
    return [name for name in EXTRACTORS if "data" in extractor_entry(name)]


def weights_option(wildcards):
    """The option of `lcsc extractor` that names the weights; a space where there are none."""
    path = layout.weights_path(CONFIG, EXTRACTORS[wildcards.extractor])
    return f"--weights {shlex.quote(path)}" if path else " "


def fetched_weights(wildcards):
    """The weights that are fetched first: those of an extractor that needs some and names no file."""
    path = layout.weights_path(CONFIG, EXTRACTORS[wildcards.extractor])
    given = extractor_entry(wildcards.extractor).get("weights")
    return [path] if path and not given else []


def extractor_data(extractor):
    """The id of the images that the extractor with this id is trained on."""
    return lcsc_config.data_id(CONFIG, extractor_entry(extractor)["data"])


def extractor_file(run, role):
    """The extractor that ``run`` uses as ``search`` or ``held_out``."""
    return layout.extractor_file(CONFIG, run, role)


def reference_file(run, role, part):
    """The statistics of a part of the images of ``run`` for one of its extractors."""
    return layout.reference_file(CONFIG, run, role, part)


def measures(run, entry=None):
    """The named inputs of every step that scores on search or selection noise, by the extractor that the search or
    fine-tuning ``entry`` of the run searches, or else by the one that chooses."""
    name = lcsc_config.searched_name(RUNS[run], entry)
    return {
        "bank": layout.bank_index(run),
        "extractor": layout.extractor_path(CONFIG, name),
        "reference": layout.reference_path(CONFIG, run, name, "train"),
    }


def search_measures(run, search):
    """The named inputs of the rounds of a search; ``warm`` is the choice of an earlier one, where it starts there."""
    entry = RUNS[run]["searches"][search]
    warm = entry.get("warm_start")
    place = warm and f"results/{warm['run'] or run}/search/{warm['search']}"
    return {
        **measures(run, entry),
        "warm": f"{place}/selection.json" if warm else [],
    }


def own_measures(run, search):
    """The extractor of a search's own and its statistics; none where it takes the run's."""
    entry = RUNS[run]["searches"][search]
    own = measures(run, entry)
    return [own["extractor"], own["reference"]] if entry.get("extractor") else []


def warm_options(wildcards, input):
    """The same as an option of `lcsc search`."""
    return ["--warm-start", input.warm] if input.warm else []


def further_measures(run):
    """What the final evaluation needs of extractors that single searches have: their files, and their statistics."""
    names = lcsc_config.further_searched(RUNS[run])
    return {
        "further": [layout.extractor_path(CONFIG, name) for name in names],
        "further_references": [
            layout.reference_path(CONFIG, run, name, "train") for name in names
        ],
    }


def further_options(wildcards, input):
    """The same as options of `lcsc evaluate`."""
    options = {
        "--searched": input.further,
        "--searched-references": input.further_references,
    }
    return [word for key, files in options.items() if files for word in (key, *files)]


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


def training_manifests(run):
    """The manifests of the trainings of ``run``."""
    folder = training_folder(run)
    return [f"{folder}/{schedule}/manifest.json" for schedule in trainings(run)]


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


def generations(run, search, first=0, count=None):
    """The files of some generations of a search, all of them by default, in ascending order."""
    stop = (
        RUNS[run]["searches"][search]["generations"] if count is None else first + count
    )
    return [
        f"results/{run}/search/{search}/generation-{index:04d}.json"
        for index in range(first, stop)
    ]


def all_generations(run):
    """The files of all generations of all searches of ``run``."""
    return [
        path for search in RUNS[run]["searches"] for path in generations(run, search)
    ]


def selections(run):
    """The selection of each search of ``run``."""
    return [
        f"results/{run}/search/{search}/selection.json"
        for search in RUNS[run]["searches"]
    ]


def tunings(run):
    """The names of the fine-tunings of ``run``."""
    return list(RUNS[run]["fine_tune"] or {})


def tuning_start(run, tuning):
    """The selection that a fine-tuning starts from; none where it starts from an average."""
    start = RUNS[run]["fine_tune"][tuning]["start"]
    return (
        f"results/{run}/search/{start}/selection.json"
        if start != "best-average"
        else []
    )


def tuning_options(run):
    """What the fine-tunings of ``run`` add to the baselines."""
    folders = [f"results/{run}/tune/{name}" for name in tunings(run)]
    return ["--tuned", *folders] if folders else []


def trace_measures(run):
    """The named inputs of a trace: both extractors against held-out images, and the best EMA."""
    return {
        "bank": layout.bank_index(run),
        "baselines": f"results/{run}/baselines.json",
        "extractors": [extractor_file(run, role) for role in ROLES],
        "references": [reference_file(run, role, "held-out") for role in ROLES],
    }


def tuning_trace(run, tuning):
    """The trace of the search that a fine-tuning starts from; none where it starts from an average."""
    start = tuning_start(run, tuning)
    return str(Path(start).with_name("trace.json")) if start else []


def search_rounds():
    """Every round of every search in one job: run, search, first generation, number of generations."""
    for run, section in RUNS.items():
        for search, entry in section["searches"].items():
            if shard_count(run, search) == 1:
                for first, count in lcsc_config.rounds(entry):
                    yield run, search, first, count


def sharded_searches():
    """Every search whose generations are cut into shards: run, search."""
    for run, section in RUNS.items():
        for search in section["searches"]:
            if shard_count(run, search) > 1:
                yield run, search


def shard_count(run, search):
    """Into how many jobs a generation of the search is cut."""
    return lcsc_config.shards(RUNS[run]["searches"][search])


def stages(run, search):
    """The stages of a generation of the search, if it is cut into shards."""
    return lcsc_config.stages(RUNS[run]["searches"][search])


def looks(run, search):
    """Whether joining the shards of a generation makes images itself, for a look on stopping noise."""
    return bool(RUNS[run]["searches"][search].get("stopping"))


def previous_generation(run, search):
    """An input function: the generation before that of the wildcards; none before the first."""
    return lambda wildcards: (
        generations(run, search, int(wildcards.generation) - 1, 1)
        if int(wildcards.generation)
        else []
    )


def shard_file(run, search, stage):
    """The file of any shard of a stage of any generation."""
    count = shard_count(run, search)
    return f"results/{run}/search/{search}/shards/{{generation}}.{stage}-{{shard}}-of-{count}.npz"


def shard_files(run, search, stage):
    """The files of all shards of a stage of any generation."""
    numbers = range(1, shard_count(run, search) + 1)
    return expand(shard_file(run, search, stage), shard=numbers, allow_missing=True)


def timings(run):
    """What each step of ``run`` and of what it shares took."""
    shared = [
        f"extractor-{Path(path).stem}"
        for path in [
            *(extractor_file(run, role) for role in ROLES),
            *further_measures(run)["further"],
        ]
    ]
    steps = ["collect", "baselines"]
    for search, entry in RUNS[run]["searches"].items():
        steps += [
            f"search-{search}-{first:04d}" for first, _ in lcsc_config.rounds(entry)
        ]
        steps.append(f"select-{search}")
    steps += [f"tune-{name}" for name in tunings(run)]
    steps += ["evaluate", "export"]
    paths = [f"results/shared/timings/{step}.json" for step in shared]
    paths += [
        f"results/{owner(run)}/timings/train-{schedule}.json"
        for schedule in trainings(run)
    ]
    return paths + [f"results/{run}/timings/{step}.json" for step in steps]


def figure_evaluations():
    """The final evaluations that the figures over several runs show."""
    points = [
        point for figure in CONFIG["figures"].values() for point in figure["points"]
    ]
    runs = dict.fromkeys(run for point in points for run in point["runs"])
    return [f"results/{run}/evaluation.json" for run in runs]


def figure_files():
    """The pictures and numbers of these figures by kind."""
    return {
        kind: expand("results/figures/{name}.{kind}", name=CONFIG["figures"], kind=kind)
        for kind in ("svg", "png", "csv")
    }


def show_results():
    """Print the table of each run and where its report is."""
    for run in RUNS:
        table, page = Path(f"results/{run}/report/table.txt"), Path(
            f"results/{run}/report/report.html"
        )
        if table.is_file() and page.is_file():
            print(
                f"\n{table.read_text(encoding='utf-8').rstrip()}\n\nReport: {page.resolve()}",
                file=sys.stderr,
            )


def show_failures(log):
    """Say which jobs failed, why, and where their logs are; ``log`` is Snakemake's own, or several of them."""
    logs = [log] if isinstance(log, (str, Path)) else log or []
    print(f"\n{failures.summary(map(Path, logs), Path.cwd())}", file=sys.stderr)
