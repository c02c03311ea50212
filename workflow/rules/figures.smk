# Figures over several runs, and the table of claims about them.
rule figures:
    input:
        evaluations=figure_evaluations(),
        landscapes=figure_landscapes(),
        records=figure_records(),
    output:
        **figure_files(),
        claims="results/figures/paper.md",
        page=report(
            "results/figures/report.html",
            caption="../report/set.rst",
            category="figures",
            labels={"what": "claims and all figures"},
        ),
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
        settings=text(settings("figures")),
        folder=subpath(output.claims, parent=True),
        options=text(configfile_options()),
    shell:
        "lcsc figures --settings {params.settings:q} {params.options:q} --output {params.folder:q}"
        " --benchmarks benchmarks --log {log:q}"
