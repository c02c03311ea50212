# A rule for each number of figures of landscapes: an output cannot depend on a wildcard.
for pictures, runs in runs_by_landscape_figures().items():

    rule:
        name:
            "report" if not pictures else f"report+{pictures}"
        input:
            evaluation="results/{run}/evaluation.json",
            baselines="results/{run}/baselines.json",
            selections=lambda wildcards: selections(wildcards.run),
            generations=lambda wildcards: all_generations(wildcards.run),
            samples="results/{run}/samples.npz",
            timings=lambda wildcards: timings(wildcards.run),
            bank="results/{run}/bank/index.json",
            recipe="results/{run}/export/recipe.json",
            merged=lambda wildcards: merged_file(wildcards.run),
            native=lambda wildcards: native_folder(wildcards.run),
            landscapes=lambda wildcards: landscapes(wildcards.run),
        output:
            page=report(
                "results/{run}/report/report.html",
                caption="../report/report.rst",
                category="{run}",
                labels={"what": "the whole report"},
            ),
            table=report(
                "results/{run}/report/table.html",
                caption="../report/table.rst",
                category="{run}",
                labels={"what": "result table"},
            ),
            guards=report(
                "results/{run}/report/guards.html",
                caption="../report/guards.rst",
                category="{run}",
                labels={"what": "guards"},
            ),
            result=report(
                "results/{run}/report/result.svg",
                caption="../report/result.rst",
                category="{run}",
                labels={"what": "result"},
            ),
            convergence=report(
                "results/{run}/report/convergence.svg",
                caption="../report/convergence.rst",
                category="{run}",
                labels={"what": "convergence of the search"},
            ),
            coefficients=report(
                "results/{run}/report/coefficients.svg",
                caption="../report/coefficients.rst",
                category="{run}",
                labels={"what": "coefficients"},
            ),
            images=report(
                "results/{run}/report/images.png",
                caption="../report/images.rst",
                category="{run}",
                labels={"what": "images"},
            ),
            cost=report(
                "results/{run}/report/cost.svg",
                caption="../report/cost.rst",
                category="{run}",
                labels={"what": "cost"},
            ),
            landscapes=landscape_pictures(pictures),
            text="results/{run}/report/table.txt",
            beside=files_beside(pictures),
        log:
            "logs/{run}/report.log",
        benchmark:
            "benchmarks/{run}/report.tsv"
        wildcard_constraints:
            run=one_of(runs),
        localrule: True
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=times(1500),
            runtime=times(30),
        params:
            settings=settings_of("report"),
            figures=subpath(output.page, parent=True),
            further=report_options,
        shell:
            "lcsc report --settings {params.settings:q} --evaluation {input.evaluation:q}"
            " --baselines {input.baselines:q} --selection {input.selections:q}"
            " --generations {input.generations:q} --samples {input.samples:q} --timings {input.timings:q}"
            " --bank {input.bank:q} --recipe {input.recipe:q} --merged {input.merged:q} --figures {params.figures:q}"
            " --output {output.page:q} {params.further:q} --log {log:q}"
