# All learning rates in one job: a killed one goes on from its journal, which Snakemake does not know.
rule fine_tune:
    input:
        unpack(
            lambda wildcards: measures(
                wildcards.run, RUNS[wildcards.run]["fine_tune"][wildcards.tuning]
            )
        ),
        start=lambda wildcards: tuning_start(wildcards.run, wildcards.tuning),
    output:
        manifest="results/{run}/tune/{tuning}/manifest.json",
        weights=directory("results/{run}/tune/{tuning}/weights"),
        timing="results/{run}/timings/tune-{tuning}.json",
    log:
        "logs/{run}/tune-{tuning}.log",
    benchmark:
        "benchmarks/{run}/tune-{tuning}.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
        tuning=one_of({name for run in RUNS for name in tunings(run)}),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(gradients=True),
        runtime=scoring_minutes(work.of_tuning),
        device=DEVICE,
    params:
        settings=lambda wildcards: settings("tune", wildcards.run, wildcards.tuning),
        start=lambda wildcards, input: ["--start", input.start] if input.start else [],
        folder=subpath(output.manifest, parent=True),
    shell:
        "lcsc tune --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
        " --reference {input.reference:q} {params.start:q} --cores {threads}"
        " --output {params.folder:q} --device {resources.device} --log {log:q} --timing {output.timing:q}"
