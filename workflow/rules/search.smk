rule baselines:
    input:
        unpack(lambda wildcards: measures(wildcards.run)),
        unpack(lambda wildcards: averages(wildcards.run)),
        trained=lambda wildcards: training_manifests(wildcards.run),
        tuned=lambda wildcards: [
            f"results/{wildcards.run}/tune/{name}/manifest.json"
            for name in tunings(wildcards.run)
        ],
    output:
        baselines="results/{run}/baselines.json",
        timing="results/{run}/timings/baselines.json",
    log:
        "logs/{run}/baselines.log",
    benchmark:
        "benchmarks/{run}/baselines.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_baselines),
        device=DEVICE,
    params:
        settings=settings_of("baselines"),
        trainings=training_options,
        tuned=tuning_options,
    shell:
        "lcsc baselines --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
        " --reference {input.reference:q} {params.trainings:q} {params.tuned:q} --cores {threads}"
        " --output {output.baselines:q} --device {resources.device} --log {log:q} --timing {output.timing:q}"


# One rule for each round, with its generations by name: rounds start at multiples of `generations_per_round`, so
# a longer search runs its new rounds, and its last one again where that was not full. A round that runs again,
# or was killed, goes on from its journal, which Snakemake does not know and does not delete: no score is made twice.
for run, search, first, count in search_rounds():

    rule:
        name:
            f"search+{run}+{search}+{first:04d}"
        input:
            **search_measures(run, search),
            previous=earlier_generations(run, search, first),
        output:
            generations=generations(run, search, first, count),
            timing=f"results/{run}/timings/search-{search}-{first:04d}.json",
        log:
            f"logs/{run}/search-{search}-{first:04d}.log",
        benchmark:
            f"benchmarks/{run}/search-{search}-{first:04d}.tsv"
        conda:
            ENVIRONMENT
        threads: WORKERS
        resources:
            **GPU,
            mem_mb=scoring_memory(run, "backward" in stages(run, search)),
            runtime=scoring_minutes(work.longest_round, run, search),
            device=DEVICE,
        params:
            settings=text(settings("search", run, search)),
            warm=warm_options,
            folder=lambda wildcards, output: Path(output.generations[0]).parent,
            first=first,
            number=count,
        shell:
            "lcsc search --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
            " --reference {input.reference:q} {params.warm:q} --first {params.first} --count {params.number}"
            " --cores {threads} --output {params.folder:q} --device {resources.device}"
            " --log {log:q} --timing {output.timing:q}"


# All generations in ascending order: from the end of a long chain Snakemake would recurse too deep.
rule select:
    input:
        unpack(lambda wildcards: measures(wildcards.run)),
        generations=lambda wildcards: generations(wildcards.run, wildcards.search),
        searched=lambda wildcards: own_measures(wildcards.run, wildcards.search),
    output:
        selection="results/{run}/search/{search}/selection.json",
        timing="results/{run}/timings/select-{search}.json",
    log:
        "logs/{run}/select-{search}.log",
    benchmark:
        "benchmarks/{run}/select-{search}.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_selection),
        device=DEVICE,
    params:
        settings=settings_of("select"),
        searched=lambda wildcards, input: (
            ["--searched", *input.searched] if input.searched else []
        ),
    shell:
        "lcsc select --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
        " --reference {input.reference:q} --generations {input.generations:q} {params.searched:q}"
        " --cores {threads}"
        " --output {output.selection:q} --device {resources.device} --log {log:q} --timing {output.timing:q}"
