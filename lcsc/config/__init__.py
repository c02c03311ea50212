"""The configuration: read, checked, completed, and cut into what fixes the result of each step.

It is light, since Snakemake reads it whenever it parses the workflow: no NumPy, PyTorch or HDF5.
"""

from lcsc.config.document import document
from lcsc.config.figures import runs_of
from lcsc.config.ids import data_id, extractor_id
from lcsc.config.resolve import load_config, resolve
from lcsc.config.schema import read_schema, schema_path
from lcsc.config.settings import (
    STEPS,
    further_searched,
    rounds,
    searched_name,
    shards,
    stages,
    step_settings,
)
from lcsc.config.yaml_files import read_plain, read_yaml

__all__ = [
    "STEPS",
    "data_id",
    "document",
    "extractor_id",
    "further_searched",
    "load_config",
    "read_plain",
    "read_schema",
    "read_yaml",
    "resolve",
    "rounds",
    "runs_of",
    "schema_path",
    "searched_name",
    "shards",
    "stages",
    "step_settings",
]
