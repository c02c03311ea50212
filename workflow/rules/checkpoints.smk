# The folder's own time stamp says nothing: a training of the workflow is followed by its manifest, and a
# folder of one's own is read once (--forcerun collect_checkpoints reads it again).
rule collect_checkpoints:
    input:
        folder=ancient(lambda wildcards: checkpoint_folder(wildcards.run)),
        manifest=lambda wildcards: (
            f"{training_folder(wildcards.run)}/constant/manifest.json"
            if is_trained(wildcards.run)
            else []
        ),
    output:
        index="results/{run}/bank/index.json",
        segment="results/{run}/bank/segment-0000.h5",
        timing="results/{run}/timings/collect.json",
    log:
        "logs/{run}/collect.log",
    benchmark:
        "benchmarks/{run}/collect.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=collecting_memory(),
        runtime=collecting_minutes(),
    params:
        settings=settings_of("collect"),
        folder=subpath(output.index, parent=True),
    shell:
        "lcsc collect --settings {params.settings:q} --folder {input.folder:q} --output {params.folder:q}"
        " --log {log:q} --timing {output.timing:q}"
