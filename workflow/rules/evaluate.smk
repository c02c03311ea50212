rule final_evaluation:
    input:
        unpack(lambda wildcards: bank_files(wildcards.run)),
        unpack(lambda wildcards: averages(wildcards.run)),
        unpack(lambda wildcards: judged_by(wildcards.run, PARTS)),
        baselines="results/{run}/baselines.json",
        selections=lambda wildcards: selections(wildcards.run),
        further=lambda wildcards: further_measures(wildcards.run)["further"],
        further_references=lambda wildcards: further_measures(wildcards.run)[
            "further_references"
        ],
        train=lambda wildcards: f"{data_folder(wildcards.run)}/train.npz",
        held_out=lambda wildcards: f"{data_folder(wildcards.run)}/held-out.npz",
    output:
        evaluation="results/{run}/evaluation.json",
        samples="results/{run}/samples.npz",
        timing="results/{run}/timings/evaluate.json",
    log:
        "logs/{run}/evaluate.log",
    benchmark:
        "benchmarks/{run}/evaluate.tsv"
    wildcard_constraints:
        run=one_of(RUNS),
    conda:
        ENVIRONMENT
    threads: WORKERS
    resources:
        **GPU,
        mem_mb=scoring_memory(),
        runtime=scoring_minutes(work.of_evaluation),
        device=DEVICE,
    params:
        settings=settings_of("evaluate"),
        further=further_options,
    shell:
        "lcsc evaluate --settings {params.settings:q} --bank {input.bank:q} --baselines {input.baselines:q}"
        " --selection {input.selections:q} --extractors {input.extractors:q} --references {input.references:q}"
        " {params.further:q} --train-images {input.train:q} --held-out-images {input.held_out:q} --cores {threads}"
        " --output {output.evaluation:q} --samples {output.samples:q} --device {resources.device}"
        " --log {log:q} --timing {output.timing:q}"


# The numbers of all runs without reports and merged checkpoints, for comparisons of many.
rule evaluations:
    input:
        expand("results/{run}/evaluation.json", run=RUNS),
    localrule: True


# A rule for each run, since only checkpoints of one's own have a format to be written back in.
for run in SEARCHED:

    rule:
        name:
            f"export_{run}"
        input:
            **bank_files(run),
            selections=selections(run),
            folder=lending_folder(run),
        output:
            merged=merged_file(run),
            native=[] if is_trained(run) else directory(native_folder(run)),
            recipe=f"results/{run}/export/recipe.json",
            timing=f"results/{run}/timings/export.json",
        log:
            f"logs/{run}/export.log",
        benchmark:
            f"benchmarks/{run}/export.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=collecting_memory(run),
            runtime=collecting_minutes(run),
        params:
            settings=text(settings("export", run)),
            native=lambda wildcards, output: (
                ["--native", output.native] if output.native else []
            ),
        shell:
            "lcsc export --settings {params.settings:q} --bank {input.bank:q} --selection {input.selections:q}"
            " {params.native:q} --output {output.merged:q} --recipe {output.recipe:q}"
            " --log {log:q} --timing {output.timing:q}"
