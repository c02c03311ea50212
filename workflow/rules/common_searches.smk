"""Searches, their rounds and shards, fine-tunings and traces."""

from pathlib import Path


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


def tuning_options(wildcards, input):
    """What the fine-tunings of the wildcards' run add to the baselines."""
    folders = [str(Path(manifest).parent) for manifest in input.tuned]
    return ["--tuned", *folders] if folders else []


def trace_measures(run):
    """The named inputs of a trace: both extractors against held-out images, and the best EMA."""
    return {
        **bank_files(run),
        **averages(run),
        **judged_by(run, ["held-out"]),
        "baselines": f"results/{run}/baselines.json",
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


def earlier_generations(run, search, first):
    """What a job that begins at generation ``first`` waits for: the one before it. It reads all before it, which a job
    that fetches its files has to name."""
    start = 0 if is_stored() else max(first - 1, 0)
    return generations(run, search, start, first - start)


def previous_generations(run, search):
    """An input function: the same for the generation of the wildcards."""
    return lambda wildcards: earlier_generations(run, search, int(wildcards.generation))


def shard_file(run, search, stage):
    """The file of any shard of a stage of any generation."""
    count = shard_count(run, search)
    return f"results/{run}/search/{search}/shards/{{generation}}.{stage}-{{shard}}-of-{count}.npz"


def shard_files(run, search, stage):
    """The files of all shards of a stage of any generation."""
    numbers = range(1, shard_count(run, search) + 1)
    return expand(shard_file(run, search, stage), shard=numbers, allow_missing=True)
