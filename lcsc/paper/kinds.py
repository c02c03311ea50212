"""The kinds of figures over several runs: which module makes each, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lcsc.report.style import styled

if TYPE_CHECKING:
    from lcsc.paper.made import Made
    from lcsc.paper.records import Records

_HOMES: Mapping[str, str] = {
    "points": "figure",
    "methods": "methods_figure",
    "transfer": "transfer_figure",
    "coefficients": "coefficients_figure",
    "similarity": "similarity_figure",
    "convergence": "convergence_figure",
    "cost": "cost_figure",
    "landscape": "landscape_figure",
}


def make(name: str, spec: Mapping[str, Any], records: Records) -> Made:
    """The figure ``name`` as its section of the configuration, ``spec``, asks for it.

    Raises :class:`lcsc.errors.InputError` where a run's records lack what it shows, or do not compare.
    """
    home = importlib.import_module(f"lcsc.paper.{_HOMES[spec['kind']]}")
    with styled():
        made: Made = home.make(name, spec, records)
    return made
