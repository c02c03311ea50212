# What searches and fine-tunings had reached after so much work: for figures of their course, and no part of `all`.
# The seconds come from the journals, which Snakemake does not know, so bytes differ from one run to the next.
rule traces:
    input:
        searches=[
            f"results/{run}/search/{search}/trace.json"
            for run in RUNS
            for search in RUNS[run]["searches"]
        ],
        tunings=[
            f"results/{run}/tune/{name}/trace.json"
            for run in RUNS
            for name in tunings(run)
        ],
    localrule: True


rule trace_search:
    input:
        unpack(lambda wildcards: trace_measures(wildcards.run)),
        generations=lambda wildcards: generations(wildcards.run, wildcards.search),
        timings=lambda wildcards: [
            f"results/{wildcards.run}/timings/search-{wildcards.search}-{first:04d}.json"
            for first, _ in lcsc_config.rounds(
                RUNS[wildcards.run]["searches"][wildcards.search]
            )
        ],
    output:
        trace="results/{run}/search/{search}/trace.json",
    log:
        "logs/{run}/trace-{search}.log",
    benchmark:
        "benchmarks/{run}/trace-{search}.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
        search=one_of({name for run in RUNS for name in RUNS[run]["searches"]}),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_trace),
        device=DEVICE,
    params:
        settings=settings_of("trace"),
    shell:
        "lcsc trace --settings {params.settings:q} --bank {input.bank:q} --generations {input.generations:q}"
        " --baselines {input.baselines:q} --extractors {input.extractors:q} --references {input.references:q}"
        " --timings {input.timings:q} --cores {threads} --output {output.trace:q}"
        " --device {resources.device} --log {log:q}"


rule trace_tuning:
    input:
        unpack(lambda wildcards: trace_measures(wildcards.run)),
        manifest="results/{run}/tune/{tuning}/manifest.json",
        timings="results/{run}/timings/tune-{tuning}.json",
        after=lambda wildcards: tuning_trace(wildcards.run, wildcards.tuning),
    output:
        trace="results/{run}/tune/{tuning}/trace.json",
    log:
        "logs/{run}/trace-tune-{tuning}.log",
    benchmark:
        "benchmarks/{run}/trace-tune-{tuning}.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
        tuning=one_of({name for run in RUNS for name in tunings(run)}),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_trace),
        device=DEVICE,
    params:
        settings=lambda wildcards: settings("trace", wildcards.run, wildcards.tuning),
        after=lambda wildcards, input: ["--after", input.after] if input.after else [],
        folder=subpath(input.manifest, parent=True),
    shell:
        "lcsc trace --settings {params.settings:q} --bank {input.bank:q} --tuned {params.folder:q}"
        " --baselines {input.baselines:q} --extractors {input.extractors:q} --references {input.references:q}"
        " --timings {input.timings:q} {params.after:q} --cores {threads} --output {output.trace:q}"
        " --device {resources.device} --log {log:q}"
