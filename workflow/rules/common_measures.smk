"""Images, extractors and statistics of them, as the rules share them."""

import shlex


def reference_settings(data, extractor):
    """The settings of the statistics of the images ``data`` for ``extractor``, both by id."""
    run = next(
        name for name in RUNS if lcsc_config.data_id(CONFIG, RUNS[name]["data"]) == data
    )
    return settings("reference", run, EXTRACTORS[extractor])


def published_statistics(wildcards):
    """The published statistics that stand for those of the wildcards' data, part and extractor; none by default."""
    given = CONFIG["data"][DATA[wildcards.data]]["statistics"] or {}
    parts = given.get(EXTRACTORS[wildcards.extractor]) or {}
    found = parts.get(wildcards.part.replace("-", "_"))
    return found["path"] if found else []


def reference_images(wildcards):
    """The images of the wildcards' data and part; none where their statistics are published ones."""
    path = f"results/shared/data/{wildcards.data}/{wildcards.part}.npz"
    return [] if published_statistics(wildcards) else path


def image_paths(data):
    """The files or folders that the images with the id ``data`` come from; none where a package ships them."""
    entry = CONFIG["data"][DATA[data]]
    return [entry[key] for key in ("path", "held_out_path") if entry[key] is not None]


def data_folder(run):
    """Where the images of ``run`` are."""
    return layout.data_folder(CONFIG, run)


def extractor_entry(extractor):
    """What the configuration says of the extractor with this id."""
    return CONFIG["extractors"][EXTRACTORS[extractor]]


def trained_extractors():
    """The ids of the extractors that are trained here."""
    return [name for name in EXTRACTORS if "data" in extractor_entry(name)]


def weights_option(wildcards):
    """The option of `lcsc extractor` that names the weights that the configuration gives; a space where it gives none."""
    path = layout.weights_path(CONFIG, EXTRACTORS[wildcards.extractor])
    given = path and not fetched_weights(wildcards)
    return f"--weights {shlex.quote(path)}" if given else " "


def fetched_weights(wildcards):
    """The weights that are fetched first: those of an extractor that needs some and names no file. Their sha256 is among
    its settings, so their time stamp says nothing."""
    path = layout.weights_path(CONFIG, EXTRACTORS[wildcards.extractor])
    given = extractor_entry(wildcards.extractor).get("weights")
    return [ancient(path)] if path and not given else []


def extractor_data(extractor):
    """The id of the images that the extractor with this id is trained on."""
    return lcsc_config.data_id(CONFIG, extractor_entry(extractor)["data"])


def extractor_file(run, role):
    """The extractor that ``run`` uses as ``search`` or ``held_out``."""
    return layout.extractor_file(CONFIG, run, role)


def reference_file(run, role, part):
    """The statistics of a part of the images of ``run`` for one of its extractors."""
    return layout.reference_file(CONFIG, run, role, part)


def bank_files(run):
    """The named inputs of every step that reads the bank of ``run``. The index has the hash of every checkpoint: time
    stamps of the segment say nothing, and a damaged one ends its step without Snakemake deleting earlier results.
    """
    files = layout.bank_files(run)
    return {**files, "segment": ancient(files["segment"])}


def sums(paths):
    """The checksums beside extractors and statistics, which stand for them as a bank's index does for its segment."""
    return [f"{path}.sha256" for path in paths]


def judged_by(run, parts):
    """The named inputs of a step that measures by both extractors of ``run``, against ``parts`` of its images."""
    extractors = [extractor_file(run, role) for role in ROLES]
    references = [reference_file(run, role, part) for role in ROLES for part in parts]
    return {
        "extractors": ancient(extractors),
        "references": ancient(references),
        "sums": sums([*extractors, *references]),
    }


def measures(run, entry=None):
    """The named inputs of every step that scores on search or selection noise, by the extractor that the search or
    fine-tuning ``entry`` of the run searches, or else by the one that chooses."""
    name = lcsc_config.searched_name(RUNS[run], entry)
    extractor = layout.extractor_path(CONFIG, name)
    reference = layout.reference_path(CONFIG, run, name, "train")
    return {
        **bank_files(run),
        "extractor": ancient(extractor),
        "reference": ancient(reference),
        "sums": sums([extractor, reference]),
    }


def search_measures(run, search):
    """The named inputs of the rounds of a search; ``warm`` is the choice of an earlier one, where it starts there."""
    entry = RUNS[run]["searches"][search]
    warm = entry.get("warm_start")
    place = warm and f"results/{warm['run'] or run}/search/{warm['search']}"
    return {
        **measures(run, entry),
        "warm": f"{place}/selection.json" if warm else [],
    }


def own_measures(run, search):
    """The extractor of a search's own and its statistics; none where it takes the run's."""
    entry = RUNS[run]["searches"][search]
    own = measures(run, entry)
    return [own["extractor"], own["reference"]] if entry.get("extractor") else []


def warm_options(wildcards, input):
    """The same as an option of `lcsc search`."""
    return ["--warm-start", input.warm] if input.warm else []


def further_measures(run):
    """What the final evaluation needs of extractors that single searches have: their files, and their statistics."""
    names = lcsc_config.further_searched(RUNS[run])
    return {
        "further": [layout.extractor_path(CONFIG, name) for name in names],
        "further_references": [
            layout.reference_path(CONFIG, run, name, "train") for name in names
        ],
    }


def further_options(wildcards, input):
    """The same as options of `lcsc evaluate`."""
    options = {
        "--searched": input.further,
        "--searched-references": input.further_references,
    }
    return [word for key, files in options.items() if files for word in (key, *files)]
