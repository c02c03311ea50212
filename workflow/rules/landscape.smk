# Distances over planes through three checkpoints or averages: for figures, and for the report of a searched run.
rule landscapes:
    input:
        [path for run in RUNS for path in landscapes(run)],
    localrule: True


rule landscape:
    input:
        unpack(lambda wildcards: trace_measures(wildcards.run)),
        selections=lambda wildcards: selections(wildcards.run),
    output:
        landscape=layout.landscape_path("{run}", "{landscape}"),
    log:
        "logs/{run}/landscape-{landscape}.log",
    benchmark:
        "benchmarks/{run}/landscape-{landscape}.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
        landscape=one_of({name for run in RUNS for name in RUNS[run]["landscapes"]}),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_landscape),
        device=DEVICE,
    params:
        settings=lambda wildcards: settings(
            "landscape", wildcards.run, wildcards.landscape
        ),
    shell:
        "lcsc landscape --settings {params.settings:q} --bank {input.bank:q} --baselines {input.baselines:q}"
        " --selection {input.selections:q} --extractors {input.extractors:q} --references {input.references:q}"
        " --cores {threads} --output {output.landscape:q} --device {resources.device} --log {log:q}"
