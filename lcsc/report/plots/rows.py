"""The plot of the coefficients: the mean of a search's rows, and the row of each parameter group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lcsc.report.drawing import Plot
from lcsc.report.plots import brief_number
from lcsc.report.records import Baseline, Selection
from lcsc.report.style import Look

MOST_NUMBERS = 20_000  # of a search's rows: more would make the page large


def plot(
    steps: Sequence[int],
    selections: Sequence[Selection],
    labels: Mapping[str, str],
    looks: Mapping[str, Look],
    names: Mapping[str, Sequence[str]],
    shaped: Baseline | None,
    shaped_row: Sequence[float] | None,
) -> Plot:
    """The coefficients of all searches; ``names`` of their rows' parameter groups where these are known."""
    return Plot(
        "coefficients",
        {
            "steps": list(steps),
            "searches": [_search(one, labels[one.search], looks[one.search], names) for one in selections],
            "shaped": None
            if shaped is None or shaped_row is None
            else {
                "label": f"{shaped.label} (best of its kind)",
                "colour": looks["ema"].colour,
                "values": _row(shaped_row),
            },
        },
    )


def _search(selection: Selection, label: str, look: Look, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    rows = selection.coefficients
    columns = list(zip(*rows, strict=True))
    found: dict[str, Any] = {"label": label, "colour": look.colour, "low": None, "high": None, "note": ""}
    mean = [fmean(column) for column in columns]
    if len(rows) == 1:
        return {**found, "rows": [{"name": label, "values": _row(mean)}]}
    places = kept(rows, mean)
    if len(places) < len(rows):
        found["note"] = f"the {len(places):,} of {len(rows):,} rows that lie furthest from their mean"
    known = names.get(selection.search, ())
    row_names = known if len(known) == len(rows) else [f"row {place + 1}" for place in range(len(rows))]
    return {
        **found,
        "low": _row([min(column) for column in columns]),
        "high": _row([max(column) for column in columns]),
        "rows": [
            {"name": f"mean of {len(rows):,} rows", "values": _row(mean)},
            *({"name": row_names[place], "values": _row(rows[place])} for place in places),
        ],
    }


def kept(rows: Sequence[Sequence[float]], mean: Sequence[float]) -> list[int]:
    """The places of the rows that a page has room for, in order: those furthest from their mean."""
    most = max(1, MOST_NUMBERS // len(mean))
    away = [sum((value - middle) ** 2 for value, middle in zip(row, mean, strict=True)) for row in rows]
    return sorted(sorted(range(len(rows)), key=lambda place: -away[place])[:most])


def _row(values: Sequence[float]) -> list[float | None]:
    return [brief_number(value) for value in values]
