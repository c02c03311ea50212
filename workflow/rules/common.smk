"""What the rules share: the configuration, paths, and the settings that make a step run again."""

import os
import re
import sys
from pathlib import Path

# The jobs' shells find `lcsc` beside the Python that runs Snakemake, also where its environment is not activated.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
)

# What `conda:` names with --software-deployment-method conda; lcsc itself comes from Snakemake's own environment.
ENVIRONMENT = "../../environment.yml"


def resolved(workflow, config):
    """The complete configuration; ends Snakemake with one line where it is wrong."""
    files = list(map(relative, workflow.overwrite_configfiles or workflow.configfiles))
    list(map(require_plain, files))
    files += ["--config"] if workflow.config_settings.config else []
    return or_end(lcsc_config.resolve, config, source=" + ".join(files))


CONFIG = resolved(workflow, config)
RUNS = CONFIG["runs"]
SEARCHED = [run for run in RUNS if RUNS[run]["searches"]]
DATA = {lcsc_config.data_id(CONFIG, name): name for name in CONFIG["data"]}
EXTRACTORS = {
    lcsc_config.extractor_id(CONFIG, name): name for name in CONFIG["extractors"]
}
DEVICE = CONFIG["device"]
# What heavy steps ask their executor for besides memory and time.
GPU = CONFIG["gpu_resources"] if DEVICE == "cuda" else {}
# Cores of a step that scores candidates. Snakemake lowers it to the cores there are, and --max-threads
# or --set-threads to what a cluster's node has. A job on a node is not to count that node's cores.
WORKERS = limits.scoring_cores(
    workflow.resource_settings.cores if workflow.is_main_process else None,
    len(RUNS),
    CONFIG["threads"],
)
ROLES = ("search", "held_out")
PARTS = ("train", "held-out")


def one_of(names):
    """A regular expression for any of ``names``."""
    return "|".join(map(re.escape, names)) or "(?!)"


def settings(step, run=None, name=None):
    """What fixes the result of ``step``, as the text that stands in its rule's params."""
    return canonical_json(lcsc_config.step_settings(CONFIG, run, step, name=name))


def text(words):
    """A params function for ``words`` of the configuration: in a plain string Snakemake would fill in its wildcards."""
    return lambda wildcards: words


def settings_of(step):
    """A params function for ``step`` of the run that the wildcards name."""
    return lambda wildcards: settings(
        step, wildcards.run, getattr(wildcards, "search", None)
    )
