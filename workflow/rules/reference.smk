# Once for each (images, part, extractor), whatever the runs that use it; published ones are checked and converted.
rule reference_statistics:
    input:
        images=lambda wildcards: reference_images(wildcards),
        published=lambda wildcards: published_statistics(wildcards),
        extractor=ancient("results/shared/extractors/{extractor}.safetensors"),
        sums="results/shared/extractors/{extractor}.safetensors.sha256",
    output:
        reference="results/shared/references/{data}.{part}.{extractor}.h5",
        sums="results/shared/references/{data}.{part}.{extractor}.h5.sha256",
    log:
        "logs/shared/reference-{data}.{part}.{extractor}.log",
    benchmark:
        "benchmarks/shared/reference-{data}.{part}.{extractor}.tsv"
    wildcard_constraints:
        data=one_of(DATA),
        part="train|held-out",
        extractor=one_of(EXTRACTORS),
    conda:
        ENVIRONMENT
    threads: CONFIG["threads"]
    resources:
        **GPU,
        mem_mb=reference_memory,
        runtime=reference_minutes,
        device=DEVICE,
    params:
        settings=lambda wildcards: reference_settings(
            wildcards.data, wildcards.extractor
        ),
        source=lambda wildcards, input: (
            ["--published", wildcards.part]
            if input.published
            else ["--images", input.images]
        ),
    shell:
        "lcsc reference --settings {params.settings:q} {params.source:q} --extractor {input.extractor:q}"
        " --output {output.reference:q} --device {resources.device} --log {log:q}"
