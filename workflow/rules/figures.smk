# Figures over several runs, and the table of claims about them.
rule figures:
    input:
        evaluations=figure_evaluations(),
        landscapes=figure_landscapes(),
        records=figure_records(),
    output:
        **figure_files(),
        claims="results/figures/paper.md",
    log:
        "logs/figures.log",
    benchmark:
        "benchmarks/figures.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=settings("figures"),
        folder=subpath(output.claims, parent=True),
    shell:
        "lcsc figures --settings {params.settings:q} --output {params.folder:q} --benchmarks benchmarks --log {log:q}"
