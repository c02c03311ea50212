"""A figure of landscapes of several runs; their drawing is that of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    found = [_marked(read_json(Path(path), kind=KIND), spec["methods"]) for path in paths]
    return Made(*draw(name, spec["title"], found))


def _marked(record: dict[str, Any], methods: Sequence[str] | None) -> dict[str, Any]:
    """The landscape with marks for ``methods`` alone, None for all."""
    marks = [mark for mark in record["marks"] if methods is None or mark["name"] in methods]
    return {**record, "marks": marks}
