rule data:
    input:
        images=lambda wildcards: image_paths(wildcards.data),
    output:
        train="results/shared/data/{data}/train.npz",
        held_out="results/shared/data/{data}/held-out.npz",
    log:
        "logs/shared/data-{data}.log",
    benchmark:
        "benchmarks/shared/data-{data}.tsv"
    wildcard_constraints:
        data=one_of(DATA),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=times(1500),
        runtime=times(30),
    params:
        settings=lambda wildcards: settings("data", name=DATA[wildcards.data]),
        folder=subpath(output.train, parent=True),
    shell:
        "lcsc data --settings {params.settings:q} --output {params.folder:q} --log {log:q}"


# The held-out images lie in a file of their own, which no training has as its input.
rule train_extractor:
    input:
        images=lambda wildcards: f"results/shared/data/{extractor_data(wildcards.extractor)}/train.npz",
    output:
        extractor="results/shared/extractors/{extractor}.safetensors",
        sums="results/shared/extractors/{extractor}.safetensors.sha256",
        timing="results/shared/timings/extractor-{extractor}.json",
    log:
        "logs/shared/extractor-{extractor}.log",
    benchmark:
        "benchmarks/shared/extractor-{extractor}.tsv"
    wildcard_constraints:
        extractor=one_of(trained_extractors()),
    conda:
        ENVIRONMENT
    threads: CONFIG["threads"]
    resources:
        **GPU,
        mem_mb=extractor_memory,
        runtime=extractor_minutes,
        device=DEVICE,
    params:
        settings=lambda wildcards: settings(
            "extractor", name=EXTRACTORS[wildcards.extractor]
        ),
    shell:
        "lcsc extractor --settings {params.settings:q} --data {input.images:q} --output {output.extractor:q}"
        " --device {resources.device} --log {log:q} --timing {output.timing:q}"


# A local rule, since it alone needs a network: nodes of a cluster have none. A file that `weights` of the extractor
# names is taken as it is.
rule fetch_weights:
    output:
        "results/shared/weights/{weights}",
    log:
        "logs/shared/fetch-{weights}.log",
    conda:
        ENVIRONMENT
    shell:
        "lcsc fetch {wildcards.weights:q} --output {output:q} --log {log:q}"


# Extractors whose weights come from elsewhere see no image. Where the weights lie changes nothing, which they are does:
# so their place is a resource, for which nothing runs again, and their checksum is among the settings.
rule make_extractor:
    input:
        weights=fetched_weights,
    output:
        extractor="results/shared/extractors/{extractor}.safetensors",
        sums="results/shared/extractors/{extractor}.safetensors.sha256",
        timing="results/shared/timings/extractor-{extractor}.json",
    log:
        "logs/shared/extractor-{extractor}.log",
    benchmark:
        "benchmarks/shared/extractor-{extractor}.tsv"
    wildcard_constraints:
        extractor=one_of(sorted(set(EXTRACTORS).difference(trained_extractors()))),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=times(4000),
        runtime=times(10),
        weights=weights_option,
    params:
        settings=lambda wildcards: settings(
            "extractor", name=EXTRACTORS[wildcards.extractor]
        ),
        fetched=lambda wildcards, input: (
            ["--weights", *input.weights] if input.weights else []
        ),
    shell:
        "lcsc extractor --settings {params.settings:q} {params.fetched:q} {resources.weights}"
        " --output {output.extractor:q} --log {log:q} --timing {output.timing:q}"


rule train:
    input:
        unpack(lambda wildcards: teacher(wildcards.run)),
        images=lambda wildcards: f"{data_folder(wildcards.run)}/train.npz",
    output:
        manifest="results/{run}/train/{schedule}/manifest.json",
        checkpoints=directory("results/{run}/train/{schedule}/checkpoints"),
        emas=directory("results/{run}/train/{schedule}/ema"),
        state="results/{run}/train/{schedule}/state.safetensors",
        timing="results/{run}/timings/train-{schedule}.json",
    log:
        "logs/{run}/train-{schedule}.log",
    benchmark:
        "benchmarks/{run}/train-{schedule}.tsv"
    wildcard_constraints:
        run=one_of(training_runs()),
        schedule="constant|decayed",
    conda:
        ENVIRONMENT
    threads: CONFIG["threads"]
    resources:
        **GPU,
        mem_mb=training_memory,
        runtime=training_minutes("steps"),
        device=DEVICE,
    params:
        settings=settings_of("train"),
        teacher=teacher_options,
        folder=subpath(output.manifest, parent=True),
    shell:
        "lcsc train --settings {params.settings:q} --data {input.images:q} --schedule {wildcards.schedule}"
        " {params.teacher:q}"
        " --output {params.folder:q} --device {resources.device} --log {log:q} --timing {output.timing:q}"


rule continue_training:
    input:
        images=lambda wildcards: f"{data_folder(wildcards.run)}/train.npz",
        manifest="results/{run}/train/constant/manifest.json",
        state=ancient("results/{run}/train/constant/state.safetensors"),
        emas=ancient("results/{run}/train/constant/ema"),
    output:
        manifest="results/{run}/train/continued/manifest.json",
        checkpoints=directory("results/{run}/train/continued/checkpoints"),
        emas=directory("results/{run}/train/continued/ema"),
        timing="results/{run}/timings/train-continued.json",
    log:
        "logs/{run}/train-continued.log",
    benchmark:
        "benchmarks/{run}/train-continued.tsv"
    wildcard_constraints:
        run=one_of(training_runs()),
    conda:
        ENVIRONMENT
    threads: CONFIG["threads"]
    resources:
        **GPU,
        mem_mb=training_memory,
        runtime=training_minutes("continue"),
        device=DEVICE,
    params:
        settings=settings_of("continue"),
        training=subpath(input.manifest, parent=True),
        folder=subpath(output.manifest, parent=True),
    shell:
        "lcsc continue --settings {params.settings:q} --data {input.images:q} --training {params.training:q}"
        " --output {params.folder:q} --device {resources.device} --log {log:q} --timing {output.timing:q}"
