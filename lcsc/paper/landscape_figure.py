"""A figure of landscapes of several runs; their drawing is that of a run's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcsc.files import read_json
from lcsc.layout import landscape_path
from lcsc.paper.landscape_record import KIND
from lcsc.paper.made import Made
from lcsc.paper.records import Records
from lcsc.report.figures.landscape import draw


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` of the kind ``landscape``, which no claim is about."""
    paths = [landscape_path(run, landscape, str(records.results)) for run, landscape in spec["landscapes"]]
    return Made(*draw(name, spec["title"], [read_json(Path(path), kind=KIND) for path in paths]))
