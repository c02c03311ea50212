# Searches whose generations are cut into shards: a job for each (generation, stage, shard), and one that joins them.
# A killed shard of values goes on from a journal of its own; the files of the shards go once the generation stands.
for run, search in sharded_searches():

    rule:
        name:
            f"forward+{run}+{search}"
        input:
            **search_measures(run, search),
            previous=previous_generations(run, search),
        output:
            share=temp(shard_file(run, search, "forward")),
        log:
            f"logs/{run}/search-{search}-{{generation}}.forward-{{shard}}.log",
        benchmark:
            f"benchmarks/{run}/search-{search}-{{generation}}.forward-{{shard}}.tsv"
        wildcard_constraints:
            generation=r"\d+",
            shard=r"\d+",
        conda:
            ENVIRONMENT
        threads: WORKERS
        resources:
            **GPU,
            mem_mb=scoring_memory(run),
            runtime=scoring_minutes(work.of_share, run, search),
            device=DEVICE,
        params:
            settings=text(settings("search", run, search)),
            warm=warm_options,
            folder=lambda wildcards, output: Path(output.share).parents[1],
            number=shard_count(run, search),
        shell:
            "lcsc shard --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
            " --reference {input.reference:q} {params.warm:q} --search {params.folder:q}"
            " --generation {wildcards.generation}"
            " --shard {wildcards.shard}/{params.number} --stage forward"
            " --cores {threads} --output {output.share:q} --device {resources.device} --log {log:q}"

    if "backward" in stages(run, search):

        rule:
            name:
                f"backward+{run}+{search}"
            input:
                **search_measures(run, search),
                previous=previous_generations(run, search),
                forward=shard_files(run, search, "forward"),
            output:
                share=temp(shard_file(run, search, "backward")),
            log:
                f"logs/{run}/search-{search}-{{generation}}.backward-{{shard}}.log",
            benchmark:
                f"benchmarks/{run}/search-{search}-{{generation}}.backward-{{shard}}.tsv"
            wildcard_constraints:
                generation=r"\d+",
                shard=r"\d+",
            conda:
                ENVIRONMENT
            threads: WORKERS
            resources:
                **GPU,
                mem_mb=scoring_memory(run, True),
                runtime=scoring_minutes(work.of_share, run, search),
                device=DEVICE,
            params:
                settings=text(settings("search", run, search)),
                warm=warm_options,
                folder=lambda wildcards, output: Path(output.share).parents[1],
                number=shard_count(run, search),
            shell:
                "lcsc shard --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
                " --reference {input.reference:q} {params.warm:q} --search {params.folder:q}"
                " --generation {wildcards.generation}"
                " --shard {wildcards.shard}/{params.number} --stage backward --forward {input.forward:q}"
                " --cores {threads} --output {output.share:q} --device {resources.device} --log {log:q}"

    rule:
        name:
            f"join+{run}+{search}"
        input:
            **search_measures(run, search),
            previous=previous_generations(run, search),
            shards=shard_files(run, search, stages(run, search)[-1]),
        output:
            generation=f"results/{run}/search/{search}/generation-{{generation}}.json",
            timing=f"results/{run}/timings/search-{search}-{{generation}}.json",
        log:
            f"logs/{run}/search-{search}-{{generation}}.log",
        benchmark:
            f"benchmarks/{run}/search-{search}-{{generation}}.tsv"
        wildcard_constraints:
            generation=r"\d+",
        conda:
            ENVIRONMENT
        threads: WORKERS if looks(run, search) else 1
        resources:
            **(GPU if looks(run, search) else {}),
            mem_mb=scoring_memory(run, "backward" in stages(run, search)),
            runtime=scoring_minutes(work.of_look, run, search),
            device=DEVICE if looks(run, search) else "cpu",
        params:
            settings=text(settings("search", run, search)),
            warm=warm_options,
            folder=subpath(output.generation, parent=True),
        shell:
            "lcsc search --settings {params.settings:q} --bank {input.bank:q} --extractor {input.extractor:q}"
            " --reference {input.reference:q} {params.warm:q} --first {wildcards.generation} --count 1"
            " --shards {input.shards:q}"
            " --cores {threads} --output {params.folder:q} --device {resources.device}"
            " --log {log:q} --timing {output.timing:q}"
