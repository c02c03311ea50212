"""What jobs ask a scheduler for, by the sizes in the configuration; profiles and --set-resources stand over it."""

from lcsc.plan import work


def bank_sizes(run):
    """Checkpoints and parameters of the bank of ``run``, as it is or as the configuration expects it."""
    return limits.bank_sizes(Path(layout.bank_index(run)), RUNS[run])


def scoring_memory(run=None, gradients=False):
    """A resource function: MB for a job that scores, of the wildcards' run by default; more at each further try."""

    def mem_mb(wildcards, threads, attempt):
        name = run or wildcards.run
        workers = max(1, threads // CONFIG["threads"])
        return attempt * limits.scoring_mb(
            RUNS[name], bank_sizes(name), DEVICE, workers, gradients=gradients
        )

    return mem_mb


def scoring_minutes(of, run=None, name=None):
    """A resource function: minutes for the work that ``of`` counts of a run and, where one is given, its ``name``d
    entry, either given here or the wildcards'."""

    def runtime(wildcards, attempt):
        section = RUNS[run or wildcards.run]
        kinds = ("search", "tuning", "landscape")
        entry = name or next(filter(None, map(wildcards.get, kinds)), None)
        done = of(section, entry) if entry else of(section)
        return attempt * limits.minutes(section, DEVICE, done)

    return runtime


def training_memory(wildcards, attempt):
    """MB for a training."""
    _, parameters = bank_sizes(wildcards.run)
    return attempt * limits.training_mb(RUNS[wildcards.run], DEVICE, parameters)


def training_minutes(key):
    """A resource function: minutes for as many steps as ``key`` of the training says."""

    def runtime(wildcards, attempt):
        section = RUNS[wildcards.run]
        return attempt * limits.training_minutes(section, DEVICE, section["train"][key])

    return runtime


def collecting_memory(run=None):
    """A resource function: MB to collect or to export."""
    return lambda wildcards, attempt: attempt * limits.collecting_mb(
        bank_sizes(run or wildcards.run)[1]
    )


def collecting_minutes(run=None):
    """A resource function: minutes to collect or to export."""
    return lambda wildcards, attempt: attempt * limits.collecting_minutes(
        *bank_sizes(run or wildcards.run)
    )


def images_of(data, part):
    """How many images this part of the images with the id ``data`` has, and their shape as a run of theirs says it."""
    section = next(
        section
        for section in RUNS.values()
        if lcsc_config.data_id(CONFIG, section["data"]) == data
    )
    shape = (section.get("network") or section["generator"])["image_shape"]
    path = Path(f"results/shared/data/{data}/{part}.npz")
    return limits.image_count(path, shape), shape


def reference_memory(wildcards, attempt):
    """MB for statistics of features."""
    count, shape = images_of(wildcards.data, wildcards.part)
    return attempt * limits.reference_mb(
        extractor_entry(wildcards.extractor), count, shape, DEVICE
    )


def reference_minutes(wildcards, attempt):
    """Minutes for statistics of features."""
    count, _ = images_of(wildcards.data, wildcards.part)
    return attempt * limits.reference_minutes(count, DEVICE)


def extractor_memory(wildcards, attempt):
    """MB to train an extractor."""
    count, shape = images_of(extractor_data(wildcards.extractor), "train")
    return attempt * limits.extractor_mb(
        extractor_entry(wildcards.extractor), count, shape, DEVICE
    )


def extractor_minutes(wildcards, attempt):
    """Minutes to train an extractor."""
    return attempt * limits.extractor_minutes(
        extractor_entry(wildcards.extractor), DEVICE
    )


def times(amount):
    """A resource function: ``amount`` at the first try, and as much more at each further one."""
    return lambda wildcards, attempt: attempt * amount
